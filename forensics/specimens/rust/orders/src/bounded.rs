//! A cache that keeps so many entries at most.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub struct Bounded<K, V> {
    most: usize,
    order: VecDeque<K>,
    kept: HashMap<K, V>,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            order: VecDeque::with_capacity(most),
            kept: HashMap::with_capacity(most),
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.kept.get(key)
    }

    /// Keeps a value; the oldest entry goes where there is no room.
    pub fn put(&mut self, key: K, value: V) {
        if self.kept.insert(key.clone(), value).is_none() {
            if self.order.len() == self.most {
                if let Some(oldest) = self.order.pop_front() {
                    self.kept.remove(&oldest);
                }
            }
            self.order.push_back(key);
        }
    }
}
