// What panels ask of a package that only Grafana's own pages need.
export const useAssistant = () => ({ isAvailable: false });
export const createAssistantContextItem = () => ({});
export const QueryWithAssistantButton = () => null;
