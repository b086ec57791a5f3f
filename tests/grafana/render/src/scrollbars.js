// Grafana's own bundler takes what this package calls its default; esbuild, as Node does, takes the whole module.
import scrollbars from '../node_modules/react-custom-scrollbars-2/lib/index.js';

export default scrollbars.default;
