import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import "./styles.css";

// Everything that is shown was said or typed by somebody: text only ever becomes text. The one string that may become
// HTML is the empty one, with which the chart library clears its place. The policy is the only one the service allows.
interface Policies {
  createPolicy(name: string, rules: { createHTML: (text: string) => string }): unknown;
}
const policies = (window as { trustedTypes?: Policies }).trustedTypes;
policies?.createPolicy("default", {
  createHTML: (text) => {
    if (text !== "") throw new TypeError("text does not become HTML on this page");
    return text;
  },
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
