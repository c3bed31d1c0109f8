// Draws a plot that can be explored (read values under the pointer, drag to zoom) over the one the server drew.
// Data comes from the page's own JSON block; the server's SVG stays in the page for print and where this fails.
(() => {
  const colours = getComputedStyle(document.documentElement);
  const colour = (name) => colours.getPropertyValue(`--plot-${name}`).trim() || "#212b32";
  const dashes = { baseline: [6, 4], control: [8, 3], cutoff: [4, 3], threshold: [4, 3], "control-line": [10, 3], missing: [2, 3], "control-ttp": [10, 3], this: [4, 3] };
  const ratio = () => window.devicePixelRatio || 1;

  function drawMarks(plot, content) {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.lineWidth = 1.5 * ratio();
    for (const rule of content.rules) {
      ctx.strokeStyle = colour(rule.role);
      ctx.setLineDash((dashes[rule.role] || []).map((part) => part * ratio()));
      ctx.beginPath();
      if (rule.axis === "x") {
        const at = plot.valToPos(rule.at, "x", true);
        const [low, high] = rule.span ? rule.span.map((value) => plot.valToPos(value, "y", true)) : [top + height, top];
        ctx.moveTo(at, low);
        ctx.lineTo(at, high);
      } else {
        const at = plot.valToPos(rule.at, "y", true);
        const [start, end] = rule.span ? rule.span.map((value) => plot.valToPos(value, "x", true)) : [left, left + width];
        ctx.moveTo(start, at);
        ctx.lineTo(end, at);
      }
      ctx.stroke();
    }
    ctx.restore();
    ctx.save();
    ctx.fillStyle = colour("text");
    ctx.font = `600 ${13 * ratio()}px Arial, sans-serif`;
    for (const rule of content.rules) {
      if (!rule.label) continue;
      if (rule.axis === "x") {
        const at = plot.valToPos(rule.at, "x", true);
        if (at < left || at > left + width) continue;
        ctx.textAlign = "center";
        ctx.fillText(rule.label, at, top - 8 * ratio());
      } else {
        ctx.textAlign = "right";
        const end = rule.span ? plot.valToPos(rule.span[1], "x", true) : left + width;
        ctx.fillText(rule.label, end - 4 * ratio(), plot.valToPos(rule.at, "y", true) - 5 * ratio());
      }
    }
    ctx.restore();
  }

  function drawBands(plot, content) {
    const { ctx } = plot;
    ctx.save();
    ctx.fillStyle = colour("band");
    for (const band of content.bands) {
      const start = Math.max(plot.valToPos(band.start, "x", true), plot.bbox.left);
      const end = Math.min(plot.valToPos(band.end, "x", true), plot.bbox.left + plot.bbox.width);
      if (end > start) ctx.fillRect(start, plot.bbox.top, end - start, plot.bbox.height);
    }
    ctx.restore();
  }

  function build(figure) {
    const content = JSON.parse(document.getElementById(figure.dataset.plot).textContent);
    const holder = figure.querySelector(".plot__canvas");
    const size = () => ({ width: Math.floor(holder.clientWidth), height: Math.min(420, Math.max(260, Math.floor(holder.clientWidth * 0.6))) });
    const axis = (label) => ({ label, labelFont: "14px Arial, sans-serif", font: "14px Arial, sans-serif", stroke: colour("text"), grid: { stroke: colour("grid"), width: 1 }, labelSize: 24 });
    holder.hidden = false;
    figure.classList.add("plot--explored");
    const plot = new uPlot(
      {
        ...size(),
        padding: [24, 12, 0, 0],
        scales: { x: { time: false }, y: { range: () => content.yRange } },
        axes: [{ ...axis(content.xLabel), size: 36 }, { ...axis(content.yLabel), size: 56 }],
        series: [
          { label: content.xLabel, value: (_, value) => (value == null ? "–" : value.toFixed(2)) },
          ...content.series.map((one) => ({
            label: one.name,
            stroke: colour(one.role),
            width: one.role === "baseline" ? 1.5 : 2,
            dash: dashes[one.role],
            // Single tests are shown as points; the line between them only joins.
            points: { show: one.role === "trend", size: 8 },
            value: (_, value) => (value == null ? "–" : value.toFixed(2)),
          })),
        ],
        hooks: { drawClear: [(self) => drawBands(self, content)], draw: [(self) => drawMarks(self, content)] },
      },
      [content.x, ...content.series.map((one) => one.y)],
      holder,
    );
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-labelledby", `${figure.id}-title ${figure.id}-summary`);
    new ResizeObserver(() => {
      if (holder.clientWidth && Math.floor(holder.clientWidth) !== plot.width) plot.setSize(size());
    }).observe(holder);
  }

  for (const figure of document.querySelectorAll("[data-plot]")) {
    try {
      build(figure);
    } catch (error) {
      figure.classList.remove("plot--explored");
      figure.querySelector(".plot__canvas").hidden = true;
      console.error("the plot to explore could not be drawn; the drawing in the page stands", error);
    }
  }
})();
