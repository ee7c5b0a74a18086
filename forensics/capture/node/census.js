// Runs inside the process for a few milliseconds at a time: walks plain data, breadth first, and counts elements.
// An expression; `require` is the inspector's own. Nothing of the program's is called: no accessor, no proxy, no method.
(() => {
  const { types } = require('node:util');
  const cache = require('node:module')._cache;
  const size = (prototype) => Object.getOwnPropertyDescriptor(prototype, 'size').get;
  const mapSize = size(Map.prototype), setSize = size(Set.prototype);
  const mapEntries = Map.prototype.entries, setValues = Set.prototype.values;
  const LARGE = 32, SAMPLE = 3, MOST = 200000;
  // What every function has, and what leads from one thing of the language to all others.
  const SKIPPED = new Set(['length', 'name', 'arguments', 'caller', 'prototype', 'constructor', 'super_']);

  const seen = new Set(), functions = [], rows = [], later = [], soon = [];
  let head = 0;

  function first(iterator) {
    const found = [];
    for (let k = 0; k < SAMPLE; k++) {
      const next = iterator.next();
      if (next.done) break;
      found.push(next.value);
    }
    return found;
  }

  function own(value, key) {
    const property = Object.getOwnPropertyDescriptor(value, key);
    return property && 'value' in property ? property.value : undefined;
  }

  function add(value, path, queue = later) {
    const referred = value !== null && (typeof value === 'object' || typeof value === 'function');
    if (referred && seen.size < MOST && !types.isProxy(value) && !seen.has(value)) {
      seen.add(value);
      queue.push([value, path]);
    }
  }

  function note(path, kind, elements, example) {
    const plain = example !== null && typeof example === 'object' && !types.isProxy(example);
    const shape = plain ? Object.keys(example).slice(0, 8).map((key) => key.slice(0, 64)) : [];
    rows.push({ path, kind, elements, shape: plain && Object.keys(example).length <= LARGE ? shape : [] });
  }

  function visit(value, path) {
    if (typeof value === 'function') functions.push(value);
    if (types.isMap(value)) {
      const count = mapSize.call(value), entries = first(mapEntries.call(value));
      if (count >= LARGE) note(path, 'Map', count, entries.length ? entries[0][1] : null);
      for (const [key, held] of entries) { add(held, path + '.get(…)'); add(key, path + '.keys()'); }
    } else if (types.isSet(value)) {
      const count = setSize.call(value), members = first(setValues.call(value));
      if (count >= LARGE) note(path, 'Set', count, members.length ? members[0] : null);
      for (const member of members) add(member, path + ' ∋');
    } else if (Array.isArray(value)) {
      if (value.length >= LARGE) note(path, 'Array', value.length, own(value, 0));
      const end = value.length >= LARGE ? SAMPLE : value.length;
      for (let k = 0; k < end; k++) add(own(value, k), value.length >= LARGE ? path + '[…]' : `${path}[${k}]`);
      return;
    } else if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value) || types.isModuleNamespaceObject(value)) {
      return;
    }
    const keys = Reflect.ownKeys(value);
    const dictionary = keys.length >= LARGE && Object.getPrototypeOf(value) !== null && typeof value === 'object'
      && (Object.getPrototypeOf(value) === Object.prototype);
    if (dictionary) note(path, 'Object', keys.length, own(value, keys[0]));
    for (const key of dictionary ? keys.slice(0, SAMPLE) : keys) {
      if (typeof value === 'function' && SKIPPED.has(key)) continue;
      if (typeof key === 'symbol') add(own(value, key), `${path}[${String(key.description).slice(0, 40)}]`);
      else add(own(value, key), dictionary ? path + '[…]' : `${path}.${key.slice(0, 64)}`);
    }
  }

  // The language's own objects and Node's are nobody's leak.
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const value = own(globalThis, name), native = typeof value === 'function' && /\[native code\]/.test(String(value));
    if (native || ['globalThis', 'global', 'process', 'console', 'Intl', 'Atomics', 'Reflect', 'JSON', 'Math', 'WebAssembly']
      .includes(name)) seen.add(value);
    else if (Object.getOwnPropertyDescriptor(globalThis, name).enumerable) add(value, `globalThis.${name}`);
  }
  seen.add(cache);
  for (const [file, module] of Object.entries(cache)) {
    seen.add(module);
    if (!file.includes('/node_modules/')) add(own(module, 'exports'), file.split('/').pop() + ' · exports', soon);
  }
  for (const handle of process._getActiveHandles()) {
    // A server's listeners lead to the application, also where modules are not in the cache (ESM).
    for (const listener of [own(own(handle, '_events') ?? {}, 'request')].flat()) add(listener, 'server · request', soon);
  }

  return {
    /** Walk for so many milliseconds; how many places are left. */
    walk(milliseconds) {
      const until = performance.now() + milliseconds;
      for (let done = 0; soon.length || head < later.length; done++) {
        const [value, path] = soon.length ? soon.pop() : later[head];
        if (later[head] !== undefined && later[head][0] === value) later[head++] = undefined;
        try { visit(value, path.length > 300 ? '…' + path.slice(-300) : path); } catch { /* it cannot be looked into */ }
        if (done % 16 === 0 && performance.now() > until) break;
      }
      return soon.length + later.length - head;
    },
    /** A variable that a function captured: it comes before what is still to be walked. */
    enter: (value, path) => add(value, path, soon),
    count: () => functions.length,
    functionAt: (number) => functions[number],
    result: () => rows,
  };
})()
