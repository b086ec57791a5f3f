// Bundles the page into dist/: `node build.mjs`.
import { build } from 'esbuild';

const asText = Object.fromEntries(['svg', 'png', 'ttf', 'woff', 'woff2'].map((kind) => [`.${kind}`, 'dataurl']));

await build({
  entryPoints: ['src/main.tsx'],
  outfile: 'dist/main.js',
  bundle: true,
  minify: true,
  format: 'iife',
  platform: 'browser',
  target: 'chrome120',
  jsx: 'automatic',
  logLevel: 'error',
  mainFields: ['module', 'browser', 'main'],
  conditions: ['import', 'module', 'browser'],
  define: {
    'process.env.NODE_ENV': '"production"',
    'process.env': '{}',
    global: 'globalThis',
    __webpack_public_path__: '""',
  },
  // Both belong to Grafana's own pages, not to its panels.
  alias: { 'react-router-dom-v5-compat': 'react-router-dom', '@grafana/assistant': './src/assistant.js' },
  loader: asText,
});
