// What is wrong with the page that is open, by kind: {} if nothing is.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (e) => e.checkVisibility({ visibilityProperty: true });
  const name = (e) => `${e.tagName.toLowerCase()} ${(e.id || e.textContent).trim().slice(0, 40)}`;
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());

  // WCAG 2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
  const rgb = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = rgb(color).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (e) => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (rgb(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (e) => {
    const [low, high] = [luminance(getComputedStyle(e).color), luminance(paper(e))]
      .sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };

  // What sticks out and is in nothing that scrolls.
  const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const sticksOut = (e) => {
    const box = e.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1);
  };

  const levels = all("h1, h2, h3, h4, h5, h6").map((e) => Number(e.tagName[1]));
  const label = (e) => e.getAttribute("aria-label") || (e.matches("button, a, summary") && e.textContent.trim());

  // Each heading sorts up, then down; the numbers are read as a person reads them.
  const read = (cell) => {
    const number = parseFloat(cell.textContent.replaceAll(",", ""));
    return Number.isNaN(number) ? cell.textContent.trim() : number;
  };
  const isSorted = (table, column, sign) => {
    const cells = [...table.tBodies[0].rows].map((row) => read(row.cells[column]));
    return cells.every((cell, i) => i === 0 || cell === cells[i - 1] || (cell > cells[i - 1] ? 1 : -1) === sign);
  };
  const unsorted = all("caption").map((e) => e.parentElement)
    .filter((table) => table.closest("#leaderboard, [aria-labelledby=leaderboard]"))
    .flatMap((table) => [...table.tHead.rows[0].cells].flatMap((header, column) => {
      const button = header.querySelector("button");
      if (!button) return [`${header.textContent} has no button`];
      const before = header.getAttribute("aria-sort");
      const order = before === "ascending" ? ["descending", "ascending"] : ["ascending", "descending"];
      return order.filter((direction) => {
        button.click();
        return header.getAttribute("aria-sort") !== direction
          || table.querySelectorAll("[aria-sort]").length !== 1
          || !isSorted(table, column, direction === "ascending" ? 1 : -1);
      }).map((direction) => `${header.textContent} ${direction}`);
    }));

  const found = {
    overflow: [
      ...(document.documentElement.scrollWidth > innerWidth ? [`page: ${document.documentElement.scrollWidth}`] : []),
      ...all("body *").filter((e) => shown(e) && !e.matches(".skip") && sticksOut(e) && !scrolls(e.parentElement)).map(name),
    ],
    images: all("img").filter((e) => !e.complete || !e.naturalWidth || !e.alt).map((e) => e.alt || "no alt"),
    contrast: all("body *")
      .filter((e) => {
        const style = getComputedStyle(e), size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        return shown(e) && own(e) && contrast(e) < (isLarge ? 3 : 4.5);
      }).map(name),
    headings: [
      ...(levels.filter((level) => level === 1).length === 1 ? [] : ["not one h1"]),
      ...levels.filter((level, i) => i && level > levels[i - 1] + 1).map((level) => `h${level} follows too soon`),
    ],
    landmarks: ["header", "nav", "main", "footer"].filter((tag) => all(`body > ${tag}`).length !== 1),
    names: all("button, a, summary, [role=region], dialog").filter((e) => !label(e)).map(name),
    targets: all("button, nav a, summary").filter((e) => {
      const box = e.getBoundingClientRect();
      return shown(e) && Math.min(box.width, box.height) < 24;
    }).map(name),
    sorting: unsorted,
  };
  return Object.fromEntries(Object.entries(found).filter(([, list]) => list.length));
})()
