// Equations of the page that is shown, also after a change of page without a reload.
document$.subscribe(({ body }) => {
  renderMathInElement(body, {
    delimiters: [
      { left: "\\[", right: "\\]", display: true },
      { left: "\\(", right: "\\)", display: false },
    ],
    strict: "ignore", // Greek letters as characters are the paper's notation
    throwOnError: false,
  });
});
