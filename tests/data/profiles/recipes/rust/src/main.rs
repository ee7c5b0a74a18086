//! Writes dhat-heap.json of a program that retains pages.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[inline(never)]
fn fetch_page(number: usize) -> Vec<String> {
    (0..25).map(|item| "x".repeat(500 + (number + item) % 50)).collect()
}

#[inline(never)]
fn keep_pages(count: usize) -> Vec<Vec<String>> {
    (0..count)
        .map(|number| {
            let kept = fetch_page(number);
            fetch_page(number);
            kept
        })
        .collect()
}

fn main() {
    let profiler = dhat::Profiler::new_heap();
    let cache = keep_pages(40);
    drop(profiler);
    assert_eq!(cache.len(), 40);
}
