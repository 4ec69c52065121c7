/* Comfort only: every page is complete without this file. */
'use strict';

(() => {
  const say = document.body.dataset;
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const each = (selector, action) => all(selector).forEach(action);
  const byId = (id) => document.getElementById(id);
  const gap = /^(zh|ja)/.test(document.documentElement.lang) ? '' : ' ';

  /* Time left, in the words of the server: "9 min 12 s". */
  const span = (seconds) => {
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor((seconds % 3600) / 60);
    const rest = seconds % 60;
    const parts = [];
    if (hours) parts.push(say.h.replace('{h}', hours));
    if (minutes) parts.push(say.min.replace('{m}', minutes));
    if ((rest && !hours) || !parts.length) parts.push(say.s.replace('{s}', rest));
    return parts.join(gap);
  };

  const countdown = (time) => {
    const ends = performance.now() + Number(time.dataset.countdown) * 1000;
    const box = time.closest('.countdown');
    const bar = box && box.querySelector('progress');
    const button = time.closest('button');
    const cells = all('i', time.closest('.wait-bar') || button || time);
    const whole = Number(time.dataset.whole);
    const tick = () => {
      const left = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
      time.textContent = span(left);
      if (bar) bar.value = left;
      const over = Math.min(cells.length - 1, Math.floor((1 - left / whole) * cells.length));
      cells.forEach((cell, at) => { cell.className = at < over ? 'gone' : at === over ? 'now' : ''; });
      if (box && left < 60) box.dataset.state = 'low';
      if (left) return void setTimeout(tick, 1000);
      if (button) {
        button.disabled = false;
        all('.wait', button).forEach((e) => e.remove());
      }
      if (box) {
        box.dataset.state = 'over';
        time.parentElement.hidden = true;
        if (bar) bar.hidden = true;
        all('.over', box).forEach((e) => { e.hidden = false; });
      }
    };
    tick();
  };

  /* The username that a sign-in page brought along in the fragment; out of the address at once, and never sent by itself. */
  const bringUser = () => {
    const user = new URLSearchParams(location.hash.slice(1)).get('user');
    if (user === null) return;
    history.replaceState(null, '', location.pathname + location.search);
    const input = byId('identifier');
    if (input && !input.value) input.value = user.slice(0, 254);
  };

  /* A suggested password goes into the field, where it is shown. */
  const use = (button) => {
    const input = byId(button.dataset.use);
    button.hidden = false;
    button.addEventListener('click', () => {
      input.value = byId('suggestion').textContent;
      input.dispatchEvent(new Event('input', { bubbles: true }));
      const toggle = document.querySelector(`.reveal-toggle[aria-controls="${input.id}"]`);
      if (toggle.getAttribute('aria-pressed') !== 'true') toggle.click();
      input.focus();
    });
  };

  /* Show and hide a password; say when Caps Lock is on. */
  const reveal = (button) => {
    const input = byId(button.getAttribute('aria-controls'));
    const turn = (open) => {
      input.type = open ? 'text' : 'password';
      button.setAttribute('aria-pressed', String(open));
      button.querySelector('span').textContent = open ? say.hide : say.show;
    };
    button.hidden = false;
    button.addEventListener('click', () => turn(input.type === 'password'));
    input.form.addEventListener('submit', () => turn(false));  // so that no browser keeps it as plain text
  };

  const capsLock = (hint) => {
    const input = byId(hint.dataset.capsFor);
    const look = (event) => {
      const on = Boolean(event.getModifierState?.('CapsLock'));
      hint.hidden = !on;
      hint.textContent = on ? say.caps : '';
    };
    input.addEventListener('keydown', look);
    input.addEventListener('keyup', look);
    input.addEventListener('blur', () => { hint.hidden = true; });
  };

  /* Live rules: length here at once, the rest by asking the server. */
  const passwordForm = (form) => {
    const first = byId('new_password');
    const list = byId('np-rules');
    const strength = form.querySelector('.strength');
    const icons = { met: 'm4 10.25 4.25 4.25L16 6', unmet: 'm5 5 10 10M15 5 5 15', idle: 'M6.25 6.25h7.5v7.5h-7.5z' };
    let asked = 0, timer;
    const show = (item, state, violation) => {
      item.dataset.state = state;
      item.querySelector('path').setAttribute('d', icons[state]);
      item.querySelector('.vh').textContent = state === 'idle' ? '' : list.dataset[state];
      item.querySelector('.fix').textContent = violation ? violation.fix || '' : '';
      const text = item.querySelector('.rule-text');
      item.plain ||= text.textContent;
      text.textContent = violation ? violation.text : item.plain;
    };
    const items = () => all('li[data-code]', list);
    const local = () => {
      const long = [...first.value.normalize('NFC')].length >= Number(first.dataset.minLength);
      for (const item of items()) {
        if (!first.value && 'extra' in item.dataset) item.remove();
        else if (!first.value) show(item, 'idle');
        else if (item.dataset.code === 'too_short') show(item, long ? 'met' : 'unmet');
      }
      if (first.value) return;
      strength.hidden = true;
      first.removeAttribute('aria-invalid');
    };
    const judge = (answer) => {
      const wrong = new Map(answer.violations.map((v) => [v.code, v]));
      for (const item of items()) {
        const { code } = item.dataset;
        if ('extra' in item.dataset && !wrong.has(code)) item.remove();
        else show(item, wrong.has(code) ? 'unmet' : 'met', wrong.get(code));
        wrong.delete(code);
      }
      for (const violation of wrong.values()) {
        const item = list.firstElementChild.cloneNode(true);
        Object.assign(item.dataset, { code: violation.code, extra: '' });
        show(item, 'unmet', violation);
        list.append(item);
      }
      const level = Math.max(1, answer.strength);
      strength.dataset.level = level;
      strength.querySelector('strong').textContent = strength.dataset.levels.split('|')[level - 1];
      strength.hidden = false;
      first.setAttribute('aria-invalid', String(answer.violations.length > 0));
    };
    const ask = async () => {
      const turn = asked;
      if (!first.value) return;
      try {
        const response = await fetch(form.dataset.checkUrl, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
          body: JSON.stringify({ password: first.value, handle: form.dataset.handle }),
          cache: 'no-store',
        });
        const answer = response.ok && await response.json();
        if (answer && turn === asked) judge(answer);
      } catch { /* The server judges again when the form is sent. */ }
    };
    first.addEventListener('input', () => {
      asked += 1;
      local();
      clearTimeout(timer);
      timer = setTimeout(ask, 350);
    });
  };

  /* A page that waits for news: asks for a version, and takes the new page in when it changes. Soon at first, since most
     news is quick, then every three seconds, then less and less. */
  const watch = (main) => {
    // Not the address of this document: what a form was answered with stands at one that only takes forms.
    const page = main.dataset.page || main.dataset.statusUrl.replace(/\/status$/, '');
    let pause = 700;
    let leaving = false;  // what a pressed button or link leads to must not be overtaken by a reload
    const leave = (event) => {
      if (event.defaultPrevented) return;
      leaving = true;
      setTimeout(() => { leaving = false; }, 10000);
    };
    addEventListener('submit', leave);
    addEventListener('click', (event) => { if (event.target.closest('a[href]:not([href^="#"])')) leave(event); });
    const look = async () => {
      if (document.hidden) return void document.addEventListener('visibilitychange', look, { once: true });
      try {
        const response = await fetch(main.dataset.statusUrl, { headers: { Accept: 'application/json' }, cache: 'no-store' });
        if (!response.ok) throw new Error(String(response.status));
        const { version } = await response.json();
        if (!leaving) {
          if (main.dataset.version && version !== main.dataset.version) return void location.replace(page);
          main.dataset.version = version;
        }
        pause = pause < 3000 ? Math.min(3000, pause * 1.5) : Math.min(15000, pause * 1.02);
      } catch {
        pause = Math.min(60000, pause * 2);
      }
      setTimeout(look, pause);
    };
    setTimeout(look, pause);
  };

  /* A second press of the same button is not sent; coming back or ten seconds later it is possible again. */
  const once = (form) => {
    let sent = false;
    form.addEventListener('submit', (event) => {
      if (sent) return void event.preventDefault();
      sent = true;
      setTimeout(() => { sent = false; }, 10000);
    });
    addEventListener('pageshow', () => { sent = false; });
  };

  const openTarget = () => {
    const target = location.hash && byId(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };

  each('[data-plain]', (e) => { e.hidden = true; });
  each('[data-live]', (e) => { e.hidden = false; });
  each('[data-countdown]', countdown);
  each('.reveal-toggle', reveal);
  each('[data-use]', use);
  each('[data-caps-for]', capsLock);
  each('form[data-password]', passwordForm);
  each('main[data-status-url]', watch);
  each('form:not([data-passkey])', once);  // a passkey's form is sent twice: to ask the device, then with its answer
  bringUser();
  each('[data-focus]', (e) => e.focus());
  openTarget();
  addEventListener('hashchange', () => { bringUser(); openTarget(); });
})();
