/* Comfort for the console: J and K move through the rows, / goes to the search, a letter presses its button. */
'use strict';

(() => {
  let at = -1;
  const go = (to) => {
    const rows = [...document.querySelectorAll('[data-rows] tbody tr')];
    if (!rows.length) return;
    at = Math.min(Math.max(to, 0), rows.length - 1);
    rows.forEach((row, i) => row.setAttribute('aria-selected', String(i === at)));
    rows[at].querySelector('a').focus();
  };
  // Where htmx swapped the list: begin again at its top, and keep the keyboard inside the page.
  document.addEventListener('htmx:after:process', (event) => {
    if (event.target.id !== 'main') return;
    at = -1;
    if (document.activeElement === document.body) document.getElementById('main')?.focus();
  });
  document.addEventListener('htmx:error', (event) => {
    const action = event.detail?.ctx?.request?.action;
    if (action && event.detail.error?.name !== 'AbortError') location.assign(action);
  });
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest('input, textarea, select');
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === 'j') go(at + 1);
    else if (key === 'k') go(at - 1);
    else if (key === '/') {
      const search = document.getElementById('q');
      if (!search) return;
      event.preventDefault();
      search.focus();
    } else {
      const button = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
      if (button) button.focus();
    }
  });
})();
