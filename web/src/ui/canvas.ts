/** A canvas as wide as its place, drawn again when that or the colours change. */
import { useEffect, useRef, useState } from "preact/hooks";
import { theme } from "../state/preferences";

export function useWidth<Element extends HTMLElement>() {
  const place = useRef<Element>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    observer.observe(element);
    setWidth(Math.floor(element.clientWidth));
    return () => observer.disconnect();
  }, []);
  return { place, width };
}

/** A number that changes when the colours do. */
export function useColors(): string {
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const update = () => setDark(query.matches);
    query.addEventListener("change", update);
    return () => query.removeEventListener("change", update);
  }, []);
  return theme.value || (dark ? "dark" : "light");
}

/** The context of a canvas of that many CSS pixels, cleared. */
export function context(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const scale = Math.min(devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const drawing = canvas.getContext("2d") as CanvasRenderingContext2D;
  drawing.setTransform(scale, 0, 0, scale, 0, 0);
  drawing.clearRect(0, 0, width, height);
  return drawing;
}

/** The text, cut with an ellipsis to a width; empty where not even three letters have room. */
export function fitted(drawing: CanvasRenderingContext2D, text: string, width: number): string {
  if (drawing.measureText(text).width <= width) return text;
  let from = 0;
  let to = text.length;
  while (from < to) {
    const middle = (from + to + 1) >> 1;
    if (drawing.measureText(`${text.slice(0, middle)}…`).width <= width) from = middle;
    else to = middle - 1;
  }
  return from < 3 ? "" : `${text.slice(0, from)}…`;
}
