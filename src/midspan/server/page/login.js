// Asks for the token, once for each tab.

import { read, token } from "./api.js";
import { find, show, write } from "./elements.js";

export class Login {
  #dialog = find("login");
  #field = find("token");
  #error = find("login-error");

  /** `entered()` is called when a token was found right. */
  constructor(entered) {
    find("login-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try(this.#field.value.trim(), entered);
    });
    // Without a token there is nothing to go back to.
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
    find("forget").addEventListener("click", () => {
      token.forget();
      location.reload();
    });
    this.#tell();
  }

  /** Links cannot bear a token, so they are there only where none is needed. */
  #tell() {
    show(find("forget"), token.get() !== null);
    show(find("elsewhere"), token.get() === null);
  }

  ask(refusal) {
    if (this.#dialog.open) return;
    write(this.#error, token.get() ? refusal.message : "");
    token.forget();
    this.#dialog.showModal();
    this.#field.focus();
  }

  async #try(secret, entered) {
    token.set(secret);
    try {
      await read("v1/operations?limit=1");
    } catch (refusal) {
      token.forget();
      write(this.#error, refusal.status === 401 ? "This token is not known here." : refusal.message);
      this.#field.select();
      return;
    }
    this.#field.value = "";
    write(this.#error, "");
    this.#tell();
    this.#dialog.close();
    entered();
  }
}
