// node --heap-prof --heap-prof-name=node.heapprofile retain.js
const responseCache = new Map();

function fetchPage(number) {
  const items = [];
  for (let i = 0; i < 25; i++) {
    items.push({ pk: { S: `customer-${number}-${i}` }, note: { S: "x".repeat(200) + number + i } });
  }
  return { $metadata: { requestId: `r${number}` }, Items: items };
}

function keepPages(count) {
  for (let number = 0; number < count; number++) responseCache.set(number, JSON.parse(JSON.stringify(fetchPage(number))));
}

keepPages(1500);

// Without a reference at exit the module, and the cache with it, is collected before the profile is written.
process.on("exit", () => responseCache.size);
