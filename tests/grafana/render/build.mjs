// Bundles the page into dist/: `node build.mjs`.
import { build } from 'esbuild';

const asText = Object.fromEntries(['svg', 'png', 'ttf', 'woff', 'woff2'].map((kind) => [`.${kind}`, 'dataurl']));

// Grafana 11's scenes name files of the schema without their ending, which its package.json wants.
const endings = {
  name: 'endings',
  setup: ({ onResolve, resolve }) =>
    onResolve({ filter: /^@grafana\/schema\/dist\/esm\/.*[.]gen$/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (pluginData === 'as it is') {
        return undefined;
      }
      const found = await resolve(path, { kind, importer, resolveDir, pluginData: 'as it is' });
      return found.errors.length ? resolve(`${path}.js`, { kind, importer, resolveDir }) : found;
    }),
};

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
  // The first two belong to Grafana's own pages, not to its panels.
  alias: {
    'react-router-dom-v5-compat': 'react-router-dom',
    '@grafana/assistant': './src/assistant.js',
    'react-custom-scrollbars-2': './src/scrollbars.js',
  },
  loader: asText,
  plugins: [endings],
});
