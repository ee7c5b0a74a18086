'use strict';
/*
 * Opt-in provenance for Node: which call fetched the DynamoDB data that is still in memory.
 *
 * One line where the client of the AWS SDK v3 is made (for a document client, on either of the two):
 *
 *     client.middlewareStack.use(require('./dynamodb-tracing.cjs'));       // CommonJS
 *     import tracing from './dynamodb-tracing.cjs';                        // ES modules
 *
 * Every response is tagged with operation, tables, index, call site, Express' route and time. Tags are the values of one
 * WeakMap whose keys are the response, its metadata and its items: nothing is kept alive, no response looks different,
 * and a tag goes with the last of them. A heap snapshot shows the pairs, so `forensics capture` says of all that is
 * still here which line fetched it. Beside the tags themselves there are at most LIMIT call sites and LIMIT texts.
 * Nothing is needed but Node 18 or newer; what goes wrong in here never reaches the service.
 */

const { AsyncLocalStorage } = require('node:async_hooks');
const { channel } = require('node:diagnostics_channel');
const { fileURLToPath } = require('node:url');

/** Call sites and texts that are remembered at most, each. */
const LIMIT = 4096;
/** Frames that are looked at, asynchronous ones among them: paginators stand between the SDK and the service. */
const FRAMES = 64;
const LIBRARY = /^node:|[/\\]node_modules[/\\]/;
const STATEMENT = /\b(?:FROM|INTO|UPDATE)\s+"?([\w.-]+)/gi;
const ARN = /^arn:[^:]*:dynamodb:[^:]*:[^:]*:table\/([^/]+)/;

/** One place in the program that calls DynamoDB; a snapshot shows texts alone, so the line is one. */
class ForensicsSite {
  constructor(file, line, name) {
    this.file = file;
    this.line = line;
    this.name = name;
  }
}

/** What is known of one response. It refers to nothing of the response but its request id. */
class ForensicsTag {
  constructor({ operation, tables, index, context, site }, requestId) {
    this.operation = operation;
    this.tables = tables;
    this.index = index;
    this.context = context;
    this.requestId = flat(requestId);
    this.time = String(Date.now());
    this.site = site;
  }
}

const tags = new WeakMap();
const sites = new Map();
const texts = new Map();
const NOWHERE = new ForensicsSite('', '', '');

/*
 * The HTTP request that is being served, by a weak reference: a promise that never settles keeps what is stored here.
 * From Node 24 on this costs nothing; before, a microsecond for each promise of the service, so it has to be asked for.
 */
const serving = new AsyncLocalStorage();
const started = channel('http.server.request.start');
if (Number.parseInt(process.versions.node, 10) >= 24 || process.env.FORENSICS_ROUTES) {
  started.subscribe(({ request }) => serving.enterWith(new WeakRef(request)));
}

function remember(cache, key, value) {
  // The first key is the oldest.
  if (cache.size >= LIMIT) cache.delete(cache.keys().next().value);
  cache.set(key, value);
  return value;
}

/** A copy in one piece: of a text that was put together, or cut out of another, a snapshot shows nothing. */
function flat(text) {
  return typeof text === 'string' ? Buffer.from(text).toString() : '';
}

/** The same, made once for each text: for names, which are few. */
function named(text) {
  return texts.get(text) ?? remember(texts, flat(text), flat(text));
}

/** The tables that the parameters of a call name, each once. */
function collectTables(input, found) {
  if (input === null || typeof input !== 'object') return found;
  for (const name of [input.TableName, input.StreamArn]) {
    if (typeof name === 'string') found.add(ARN.exec(name)?.[1] ?? name);
  }
  for (const name of Object.keys(input.RequestItems ?? {})) found.add(ARN.exec(name)?.[1] ?? name);
  if (typeof input.Statement === 'string') {
    for (const match of input.Statement.matchAll(STATEMENT)) found.add(match[1]);
  }
  for (const entry of input.TransactItems ?? []) {
    for (const action of Object.values(entry)) collectTables(action, found);
  }
  for (const entry of [...(input.TransactStatements ?? []), ...(input.Statements ?? [])]) collectTables(entry, found);
  return found;
}

/** The innermost frame of the stack that is neither Node's, nor a package's, nor ours. */
function callSite() {
  const { prepareStackTrace, stackTraceLimit } = Error;
  let frames;
  try {
    Error.stackTraceLimit = FRAMES;
    Error.prepareStackTrace = (_, found) => found;
    frames = new Error().stack;
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
  for (const frame of frames) {
    const file = frame.getFileName();
    if (!file || file === __filename || LIBRARY.test(file)) continue;
    const [line, name] = [frame.getLineNumber(), frame.getFunctionName() ?? ''];
    const key = `${file}:${line}:${name}`;
    const path = file.startsWith('file:') ? fileURLToPath(file) : file;
    return sites.get(key) ?? remember(sites, key, new ForensicsSite(flat(path), flat(String(line)), flat(name)));
  }
  return NOWHERE;
}

/** `GET /orders/:id`, as Express has it while it serves a request; nothing where no route of its is at work. */
function route() {
  const request = serving.getStore()?.deref();
  const path = request?.route?.path;
  if (typeof path !== 'string') return '';
  // Where a router is mounted is known by the address alone: what may be a value in it is left out.
  const base = String(request.baseUrl ?? '').replace(/\/(?=[^/]*\d)[^/]+/g, '/…');
  return named(`${request.method} ${base}${path}`);
}

/** What has to be noted before the call: afterwards the caller is no longer on the stack. */
function begun(input, context) {
  return {
    operation: named(String(context.commandName ?? '').replace(/Command$/, '')),
    tables: named([...collectTables(input, new Set())].join(',')),
    index: named(input?.IndexName ?? ''),
    context: route(),
    site: callSite(),
  };
}

/** The response itself and the parts of it that a program may keep alone. */
function* parts(output) {
  yield output;
  yield output.$metadata;
  const listed = Array.isArray(output.Responses) ? output.Responses.map((each) => each?.Item) : [];
  const byTable = Array.isArray(output.Responses) ? [] : Object.values(output.Responses ?? {});
  for (const items of [output.Items, output.Records, listed, ...byTable]) {
    if (!Array.isArray(items)) continue;
    yield items;
    yield* items;
  }
  yield output.Item;
  yield output.Attributes;
}

function tag(output, call) {
  if (output === null || typeof output !== 'object') return;
  const noted = new ForensicsTag(call, output.$metadata?.requestId);
  for (const part of parts(output)) {
    if (part !== null && typeof part === 'object') tags.set(part, noted);
  }
}

function middleware(next, context) {
  return async (request) => {
    let call;
    try {
      call = begun(request.input, context);
    } catch {
      // A service must never fail because it is being watched.
    }
    const result = await next(request);
    try {
      if (call !== undefined) tag(result.output, call);
    } catch {
      // As above.
    }
    return result;
  };
}

module.exports = {
  /** What `client.middlewareStack.use` asks for; a second time changes nothing. */
  applyToStack(stack) {
    stack.add(middleware, { step: 'initialize', priority: 'high', name: 'forensicsTracing', override: true });
  },
};
