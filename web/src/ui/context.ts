/** The model that all views show. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Model } from "../data/model";

export const ModelContext = createContext<Model | null>(null);

export function useModel(): Model {
  const model = useContext(ModelContext);
  if (!model) throw new Error("a view outside of the page");
  return model;
}
