// The lines of the drawn pipeline. A line is as wide as its rate is high; lines that meet at a node lie side by side.

const SVG = "http://www.w3.org/2000/svg";
const WIDEST = 18;
const NARROWEST = 1.5;
const RAIL = 12;

// The width of a line for a rate, where `most` is the highest rate of all. The root keeps a small rate visible.
export function widthOf(rate, most) {
  if (!rate || !most) return NARROWEST;
  return Math.max(NARROWEST, Math.sqrt(rate / most) * WIDEST);
}

// Draws `links` (`{from, to, rate, health}`, nodes of the page) into `svg`, which covers `box`.
export function drawLines(svg, box, links, isNarrow) {
  const most = Math.max(0, ...links.map(({ rate }) => rate ?? 0));
  const origin = box.getBoundingClientRect();
  const rect = (node) => {
    const { left, top, width, height } = node.getBoundingClientRect();
    return { left: left - origin.left, top: top - origin.top, right: left - origin.left + width, width, height };
  };
  const lines = links.map((link) => ({ ...link, a: rect(link.from), b: rect(link.to), width: widthOf(link.rate, most) }));
  const path = isNarrow ? railPath : curvePath(lines);
  svg.setAttribute("viewBox", `0 0 ${box.clientWidth} ${box.scrollHeight}`);
  svg.setAttribute("height", String(box.scrollHeight));
  svg.replaceChildren(...lines.map((line) => drawn(path(line), line)));
}

function drawn(d, { width, health }) {
  const node = document.createElementNS(SVG, "path");
  node.setAttribute("d", d);
  node.setAttribute("stroke-width", width.toFixed(1));
  node.setAttribute("class", `flow-line ${health ?? ""}`);
  return node;
}

const middle = ({ top, height }) => top + height / 2;

// From column to column a curve, and straight down within a column.
function curvePath(lines) {
  const leaving = stacked(lines, "from", "a");
  const arriving = stacked(lines, "to", "b");
  return (line) => {
    const { a, b } = line;
    if (isBelow(line)) return `M${a.left + a.width / 2} ${a.top + a.height}V${b.top}`;
    const [y, end] = [middle(a) + leaving.get(line), middle(b) + arriving.get(line)];
    const half = (a.right + b.left) / 2;
    return `M${a.right} ${y}C${half} ${y} ${half} ${end} ${b.left} ${end}`;
  };
}

const isBelow = ({ a, b }) => Math.abs(a.left - b.left) < 4;

// How far from the middle of its node each line begins or ends, so that they lie side by side.
function stacked(lines, side, corner) {
  const offsets = new Map();
  for (const node of new Set(lines.map((line) => line[side]))) {
    const own = lines.filter((line) => line[side] === node && !isBelow(line));
    const room = own[0] ? own[0][corner].height - 8 : 0;
    const total = own.reduce((sum, { width }) => sum + width, 0);
    const scale = total > room && total > 0 ? room / total : 1;
    let at = (-total * scale) / 2;
    for (const line of own) {
      offsets.set(line, at + (line.width * scale) / 2);
      at += line.width * scale;
    }
  }
  return offsets;
}

// In one column the lines run down a rail at the left, or straight from a node to the next one of its kind.
function railPath({ a, b, inner }) {
  if (inner) return `M${a.left + 24} ${a.top + a.height}V${b.top}`;
  const [y, end] = [middle(a), middle(b)];
  return `M${a.left} ${y}H${RAIL + 6}Q${RAIL} ${y} ${RAIL} ${y + 6}V${end - 6}Q${RAIL} ${end} ${RAIL + 6} ${end}H${b.left}`;
}
