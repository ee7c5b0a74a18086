package main

import "sync"

// bounded keeps so many entries at most; the oldest goes.
type bounded[K comparable, V any] struct {
	lock  sync.Mutex
	most  int
	order []K
	kept  map[K]V
}

func newBounded[K comparable, V any](most int) *bounded[K, V] {
	return &bounded[K, V]{most: most, kept: make(map[K]V, most)}
}

func (b *bounded[K, V]) get(key K) (V, bool) {
	b.lock.Lock()
	defer b.lock.Unlock()
	value, known := b.kept[key]
	return value, known
}

func (b *bounded[K, V]) put(key K, value V) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if _, known := b.kept[key]; !known {
		if len(b.order) == b.most {
			delete(b.kept, b.order[0])
			b.order = append(b.order[:0], b.order[1:]...)
		}
		b.order = append(b.order, key)
	}
	b.kept[key] = value
}
