/* What the page does without asking the server. */
(() => {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const setDark = (dark) => {
    document.body.classList.toggle('dark', dark);
    document.body.style.background = 'var(--body-background-fill)'; // Gradio's own follows the system only
  };

  /* What the button has chosen lasts in this browser, until the system changes while the page is open. */
  const CHOSEN = 'modelscope_i2v.theme';
  window.studio = {
    toggleTheme() {
      const dark = !document.body.classList.contains('dark');
      setDark(dark);
      localStorage.setItem(CHOSEN, dark ? 'dark' : 'light');
    },
    speak(code) {
      document.documentElement.lang = code;
      document.documentElement.dataset.ready = 'yes';
      const chosen = localStorage.getItem(CHOSEN); // Gradio begins with what the system has
      if (chosen) setDark(chosen === 'dark');
    },
  };
  system.addEventListener('change', (event) => {
    localStorage.removeItem(CHOSEN);
    setDark(event.matches);
  });

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

  const playOrPause = (compare) => {
    const [after, before] = ['.after', '.before'].map((name) => compare.querySelector(name));
    if (after.paused) {
      for (const video of [after, before]) video.play().catch(() => {}); // paused again before it began
    } else {
      after.pause();
      before.pause();
      before.currentTime = after.currentTime;
    }
  };

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-copy]');
    if (button) copy(button);
    const both = event.target.closest('[data-pause]');
    if (both) playOrPause(both.closest('.compare'));
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

  /* The button of a comparison says what it will do. */
  const name = (event) => {
    if (!event.target.matches?.('.compare .after')) return;
    const button = event.target.closest('.compare').querySelector('[data-pause]');
    button.textContent = event.target.paused ? button.dataset.play : button.dataset.pause;
  };
  document.addEventListener('play', name, true);
  document.addEventListener('pause', name, true);

  /* A file that is too large is not sent. Gradio would refuse it, too, but in English. */
  const refuseLarge = (event) => {
    const place = event.target.closest?.('#picture, #video');
    if (!place) return;
    place.parentElement.querySelector('.too-large')?.remove();
    const most = document.querySelector('#most-bytes').dataset;
    const files = [...((event.dataTransfer ?? event.target).files ?? [])];
    if (files.every((file) => file.size <= Number(most.count))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.type === 'change') event.target.value = '';
    const said = document.createElement('p');
    said.className = 'tile trouble too-large';
    said.setAttribute('role', 'alert');
    said.textContent = most.said;
    place.after(said);
  };
  document.addEventListener('change', refuseLarge, true);
  document.addEventListener('drop', refuseLarge, true);

  /* Older releases of Gradio leave the chosen picture without a text. */
  document.addEventListener('load', (event) => {
    if (event.target.matches?.('#picture img:not([alt])')) {
      event.target.alt = document.querySelector('#picture label')?.innerText.trim() ?? '';
    }
  }, true);

  /* In Gradio's page, the attribute `autoplay` does not start a video. */
  document.addEventListener('loadeddata', (event) => {
    const video = event.target;
    if (!video.matches?.('.tile video[autoplay]')) return;
    /* Nothing moves by itself for those who asked for that. */
    if (window.matchMedia('(prefers-reduced-motion: reduce)').matches) {
      video.autoplay = false;
      video.pause();
    } else {
      video.play().catch(() => {}); // gone already
    }
  }, true);
})();
