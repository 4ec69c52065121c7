/* Passkeys on forms: <form data-passkey="get|create" data-options="JSON"> with a hidden input `assertion`. One with
   data-conditional is offered where the browser fills in user names, too; one with data-passkey="start" only asks for
   the options. All show their button where passkeys are possible. */
'use strict';

(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const named = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));

  /* The same as PublicKeyCredential.parse…OptionsFromJSON, which older browsers lack. */
  const read = {
    get: (o) => ({ ...o, challenge: bytes(o.challenge), allowCredentials: named(o.allowCredentials) }),
    create: (o) => ({
      ...o,
      challenge: bytes(o.challenge),
      user: { ...o.user, id: bytes(o.user.id) },
      excludeCredentials: named(o.excludeCredentials),
    }),
  };

  /* The same as PublicKeyCredential.toJSON, with no more than the server looks at. */
  const write = {
    get: (r) => ({
      clientDataJSON: text(r.clientDataJSON),
      authenticatorData: text(r.authenticatorData),
      signature: text(r.signature),
      ...(r.userHandle && r.userHandle.byteLength ? { userHandle: text(r.userHandle) } : {}),
    }),
    create: (r) => ({
      clientDataJSON: text(r.clientDataJSON),
      attestationObject: text(r.attestationObject),
      transports: r.getTransports ? r.getTransports() : [],
    }),
  };

  const attach = (form) => {
    const how = form.dataset.passkey;
    const field = form.querySelector('[name="assertion"]');
    const button = form.querySelector('[data-passkey-button]');
    const failed = form.querySelector('[data-passkey-failed]');
    const missing = form.querySelector('[data-passkey-missing]');
    if (!window.PublicKeyCredential || !navigator.credentials) {
      if (missing) missing.hidden = false;
      return;
    }
    button.hidden = false;
    if (!read[how]) return;
    const ask = async (more) => {
      const publicKey = read[how](JSON.parse(form.dataset.options));
      const made = await navigator.credentials[how]({ publicKey, ...more });
      const id = text(made.rawId);
      field.value = JSON.stringify({ id, rawId: id, type: made.type, response: write[how](made.response) });
      button.disabled = false;
      form.requestSubmit(button);
    };
    /* Passkeys among what the browser offers to fill in: it asks nothing by itself, and a press of the button ends it. */
    let offer = null;
    const conditional = async () => {
      if (!('conditional' in form.dataset) || !PublicKeyCredential.isConditionalMediationAvailable) return;
      if (!(await PublicKeyCredential.isConditionalMediationAvailable()) || offer || button.disabled) return;
      offer = new AbortController();
      setTimeout(() => offer.abort(), 540000); /* The page's challenge lives for ten minutes. */
      try { await ask({ mediation: 'conditional', signal: offer.signal }); } catch { /* None was chosen. */ }
    };
    form.addEventListener('submit', async (event) => {
      if (field.value) return;
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      if (failed) failed.hidden = true;
      if (offer) offer.abort();
      try {
        await ask({});
      } catch {
        button.disabled = false;
        if (failed) failed.hidden = false;
        button.focus();
      }
    });
    /* Who comes back by the back button may show a passkey again. */
    window.addEventListener('pageshow', () => { field.value = ''; button.disabled = false; });
    conditional();
  };

  document.querySelectorAll('form[data-passkey]').forEach(attach);
})();
