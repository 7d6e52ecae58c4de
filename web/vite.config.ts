// The build lands inside the Python package, so that the wheel carries it. `npm run dev` asks the service on 4740.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/cdesk/surface/web/dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy names files of this origin only
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/v1": "http://127.0.0.1:4740", "/login": "http://127.0.0.1:4740" } },
});
