'use strict';
// A cache that stays small: at most so many entries, none older than so long.

class BoundedCache {
  #entries = new Map();

  constructor({ entries, seconds }) {
    this.limit = entries;
    this.milliseconds = seconds * 1000;
  }

  get(key) {
    const entry = this.#entries.get(key);
    if (entry === undefined || Date.now() - entry.born > this.milliseconds) return undefined;
    this.#entries.delete(key); // what was asked for last goes last
    this.#entries.set(key, entry);
    return entry.value;
  }

  put(key, value) {
    this.#entries.delete(key);
    this.#entries.set(key, { born: Date.now(), value });
    while (this.#entries.size > this.limit) this.#entries.delete(this.#entries.keys().next().value);
  }
}

module.exports = { BoundedCache };
