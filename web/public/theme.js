// Before the first paint: the theme that was chosen, if any. Without a choice the system's is followed.
try {
  const chosen = localStorage.getItem("cdesk-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // storage may be switched off; then the system's theme it is
}
