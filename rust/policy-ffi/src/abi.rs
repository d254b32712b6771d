//! The types that cross to C, as pdp.h declares them, and the three guards every export uses:
//! no panic leaves, no caller's stack is trusted, no caller's pointer is kept.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(i32)]
pub enum Rc {
    Ok = 0,
    Limit,
    Parse,
    Validate,
    Request,
    Entity,
    Panic,
    Internal,
}

/// A code for the program and a text for the operator; the text may echo input.
pub type R<T> = Result<T, (Rc, String)>;

pub fn err<T>(rc: Rc, text: impl Into<String>) -> R<T> {
    Err((rc, text.into()))
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    pub p: *const u8,
    pub n: usize,
}

impl Slice {
    /// # Safety
    /// `p` and `n` describe readable memory that outlives `'a`, or `n` is 0.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.n == 0 || self.p.is_null() {
            return &[];
        }
        std::slice::from_raw_parts(self.p, self.n)
    }

    /// # Safety
    /// As `bytes`.
    pub unsafe fn str<'a>(self, bytes_max: usize) -> R<&'a str> {
        if self.n > bytes_max {
            return err(Rc::Limit, "a string is too long");
        }
        std::str::from_utf8(self.bytes()).or_else(|_| err(Rc::Request, "a string is not UTF-8"))
    }

    pub fn of(text: &str) -> Self {
        Self { p: text.as_ptr(), n: text.len() }
    }
}

/// # Safety
/// `p` points to `n` readable values that outlive `'a`, or `n` is 0.
pub unsafe fn array<'a, T>(p: *const T, n: usize) -> &'a [T] {
    if n == 0 || p.is_null() {
        return &[];
    }
    std::slice::from_raw_parts(p, n)
}

#[repr(C)]
pub struct Buf {
    pub p: *mut u8,
    pub n: usize,
    pub cap: usize,
}

/// Longest text given to a caller; nobody reads more of a broken file at once.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// # Safety
/// `out` is NULL or points to a `Buf` that holds nothing.
pub unsafe fn put(out: *mut Buf, mut text: String) {
    if out.is_null() {
        return;
    }
    let mut n = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(n) {
        n -= 1;
    }
    text.truncate(n);
    let mut v = std::mem::ManuallyDrop::new(text.into_bytes());
    *out = Buf { p: v.as_mut_ptr(), n: v.len(), cap: v.capacity() };
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Source {
    pub name: Slice,
    pub text: Slice,
}

/// One value of a tree in preorder, see pdp.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Node {
    pub kind: u8,
    pub kids: u32,
    pub i: i64,
    pub key: Slice,
    pub s: Slice,
    pub t: Slice,
}

#[repr(C)]
pub struct Req {
    pub ptype: Slice,
    pub pid: Slice,
    pub aid: Slice,
    pub rtype: Slice,
    pub rid: Slice,
    pub context: *const Node,
    pub n_context: usize,
    pub entities: *const Node,
    pub n_entities: usize,
}

pub const IDS_MAX: usize = 16;

#[repr(C)]
pub struct Res {
    pub decision: u32,
    pub n_reason: u32,
    pub n_error: u32,
    pub reason: [u32; IDS_MAX],
    pub error: [u32; IDS_MAX],
}

pub static PANICS: AtomicU64 = AtomicU64::new(0);

/// Stack below which an export continues on a fresh piece: Cedar's evaluator gives up *per
/// policy* near the end of a stack, and a forbid that gives up is a forbid that is not there.
const STACK_LEAST: usize = 2 << 20;
const STACK_PIECE: usize = 8 << 20;
/// Parser, validator and destructors recurse; scan.rs keeps them far below this.
const STACK_BIG: usize = 64 << 20;

/// Runs one export. 20 ns when the caller's stack is large enough.
///
/// # Safety
/// As `put`.
pub unsafe fn guard(diag: *mut Buf, f: impl FnOnce() -> R<()>) -> i32 {
    let run = AssertUnwindSafe(|| stacker::maybe_grow(STACK_LEAST, STACK_PIECE, f));
    let rc = match catch_unwind(run) {
        Ok(Ok(())) => Rc::Ok,
        Ok(Err((rc, text))) => {
            put(diag, text);
            rc
        }
        Err(_) => {
            PANICS.fetch_add(1, Ordering::Relaxed);
            Rc::Panic
        }
    };
    rc as i32
}

/// Runs what parses or frees trees on a stack of our own size, and waits for it.
pub fn on_big_stack<T: Send>(f: impl FnOnce() -> R<T> + Send) -> R<T> {
    std::thread::scope(|scope| {
        let big = std::thread::Builder::new().name("policy".into()).stack_size(STACK_BIG);
        match big.spawn_scoped(scope, f) {
            Err(_) => err(Rc::Internal, "no thread for the policy compiler"),
            Ok(thread) => thread.join().unwrap_or_else(|_| {
                PANICS.fetch_add(1, Ordering::Relaxed);
                err(Rc::Panic, "")
            }),
        }
    })
}
