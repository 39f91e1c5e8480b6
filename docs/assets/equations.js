// Renders the equations of each page, also after instant navigation.
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
