/* Copying and printing recovery codes, copying the key of an app, which a wide screen shows unfolded; the pages are complete without this file. */
'use strict';

(() => {
  document.querySelectorAll('[data-copy]').forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener('click', async () => {
      const what = document.getElementById(button.dataset.copy);
      const lines = what.children.length
        ? [...what.children].map((line) => line.textContent.trim())
        : [what.textContent.replace(/\s/g, '')];
      try {
        await navigator.clipboard.writeText(lines.join('\n'));
        button.textContent = button.dataset.copied;
      } catch { /* They can still be marked and copied by hand. */ }
    });
  });
  if (matchMedia('(min-width: 40rem)').matches)
    document.querySelectorAll('[data-open-wide]').forEach((fold) => { fold.open = true; });
  document.querySelectorAll('[data-print]').forEach((button) => {
    button.hidden = false;
    button.addEventListener('click', () => window.print());
  });
})();
