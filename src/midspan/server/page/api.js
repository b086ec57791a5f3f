// Requests to the API that this page belongs to, wherever that is mounted.

const BASE = new URL(".", document.baseURI);
const KEY = `midspan-token:${BASE.pathname}`;

/** An answer that is a refusal: an RFC 9457 problem, or what stands for one. */
export class Refusal extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (secret) => sessionStorage.setItem(KEY, secret),
  forget: () => sessionStorage.removeItem(KEY),
};

/** A GET of a path below the API, as a response that is not a refusal. */
export async function ask(path, { headers = {}, ...options } = {}) {
  const secret = token.get();
  const sent = secret ? { ...headers, Authorization: `Bearer ${secret}` } : headers;
  const response = await fetch(new URL(path, BASE), { ...options, headers: sent, credentials: "same-origin" });
  if (!response.ok) throw await refusal(response);
  return response;
}

export const read = async (path, options) => (await ask(path, options)).json();

export function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Midspan-CSRF": "1" };
  return read(path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy's error page.
  }
  return new Refusal(response.status, problem, Number(response.headers.get("Retry-After")) || null);
}
