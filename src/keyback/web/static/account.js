/* Copying and printing recovery codes; the page is complete without this file. */
'use strict';

(() => {
  document.querySelectorAll('[data-copy]').forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener('click', async () => {
      const lines = [...document.getElementById(button.dataset.copy).children].map((line) => line.textContent.trim());
      try {
        await navigator.clipboard.writeText(lines.join('\n'));
        button.textContent = button.dataset.copied;
      } catch { /* They can still be marked and copied by hand. */ }
    });
  });
  document.querySelectorAll('[data-print]').forEach((button) => {
    button.hidden = false;
    button.addEventListener('click', () => window.print());
  });
})();
