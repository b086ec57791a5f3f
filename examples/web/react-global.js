// React's own script sets a global; this makes it importable, so that the hook reads as it would in a built app.
export const { createElement, useEffect, useState } = globalThis.React;
