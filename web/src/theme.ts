// Light, dark, or as the system says.
import { remember, remembered, store } from "./store";

export type Theme = "auto" | "light" | "dark";
const first = remembered("theme");
export const theme = store<Theme>(first === "light" || first === "dark" ? first : "auto");
const system = matchMedia("(prefers-color-scheme: dark)");
export const dark = store(false);

function apply(): void {
  const wanted = theme.get();
  const isDark = wanted === "dark" || (wanted === "auto" && system.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  dark.set(isDark);
}

export function setTheme(to: Theme): void {
  remember("theme", to);
  theme.set(to);
  apply();
}

system.addEventListener("change", apply);
apply();

export const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
