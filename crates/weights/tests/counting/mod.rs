//! A counting global allocator, for the peak memory of a call.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    /// Bytes that this thread has allocated, and their peak.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    // A thread that is ending no longer has a counter.
    let _ = HELD.try_with(|it| {
        let (held, peak) = it.get();
        let held = held + bytes;
        it.set((held, peak.max(held)));
    });
}

#[expect(unsafe_code, reason = "an allocator can only be wrapped with unsafe code")]
// SAFETY: every call is passed on unchanged to the system allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs a function and returns the peak of the bytes that it allocated on this thread.
pub(crate) fn peak_bytes<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.with(|it| {
        let (held, _) = it.get();
        it.set((held, held));
        held
    });
    let result = run();
    let (_, peak) = HELD.with(Cell::get);
    (result, usize::try_from(peak - before).expect("the peak is at least what was held before"))
}
