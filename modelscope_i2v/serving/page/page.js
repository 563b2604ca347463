/* What the page does without asking the server. */
(() => {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const setDark = (dark) => {
    document.body.classList.toggle('dark', dark);
    document.body.style.background = 'var(--body-background-fill)'; // Gradio's own follows the system only
  };

  window.studio = {
    toggleTheme() {
      setDark(!document.body.classList.contains('dark'));
    },
    speak(code) {
      document.documentElement.lang = code;
      document.documentElement.dataset.ready = 'yes';
    },
  };
  system.addEventListener('change', (event) => setDark(event.matches));

  const copy = async (button) => {
    const text = button.closest('.code').querySelector('code').textContent;
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
    } else { // not on an encrypted connection, nor on this machine
      const area = document.createElement('textarea');
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
    const label = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 1500);
  };

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-copy]');
    if (button) copy(button);
    /* On a phone, the videos are below the fields. */
    const step = event.target.closest('#make-1, #make-2')?.id.at(-1);
    if (step && window.innerWidth < 720) document.querySelector(`#results-${step}`).scrollIntoView({ behavior: 'smooth' });
    const enlarge = event.target.closest('[data-action="enlarge"]');
    if (enlarge) document.querySelector('#step-2')?.scrollIntoView({ behavior: 'smooth' });
  });

  document.addEventListener('input', (event) => {
    const compare = event.target.closest('.compare');
    if (compare) compare.style.setProperty('--at', `${event.target.value}%`);
  });

  document.addEventListener('pointermove', (event) => {
    const screen = event.target.closest?.('.compare .screen');
    if (!screen || (event.pointerType === 'mouse' && !event.buttons)) return;
    const { left, width } = screen.getBoundingClientRect();
    const range = screen.parentElement.querySelector('input');
    range.value = Math.round((100 * (event.clientX - left)) / width);
    range.dispatchEvent(new Event('input', { bubbles: true }));
  });

  /* Both videos of a comparison show the same moment. */
  document.addEventListener('timeupdate', (event) => {
    if (!event.target.matches?.('.compare .after')) return;
    const before = event.target.parentElement.querySelector('.before');
    if (Math.abs(before.currentTime - event.target.currentTime) > 0.1) before.currentTime = event.target.currentTime;
  }, true);

  /* Older releases of Gradio leave the chosen picture without a text. */
  document.addEventListener('load', (event) => {
    if (event.target.matches?.('#picture img:not([alt])')) {
      event.target.alt = document.querySelector('#picture label')?.innerText.trim() ?? '';
    }
  }, true);

  /* Nothing moves by itself for those who asked for that. */
  document.addEventListener('play', (event) => {
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (still && event.target.autoplay) {
      event.target.autoplay = false;
      event.target.pause();
    }
  }, true);
})();
