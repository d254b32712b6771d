//! attorn's policy engine: cedar-policy behind the C ABI that pdp.h describes.
//!
//! Every export runs inside `abi::guard`. Handles are immutable and atomically counted, so any
//! number of threads may use one. Nothing a caller passes is kept after a call returns.

mod abi;
mod compile;
mod eval;
mod index;
mod known;
mod scan;
mod shape;
#[cfg(test)]
mod tests;

use abi::{array, err, guard, on_big_stack, put, Buf, Node, Rc, Req, Res, Slice, PANICS, R};
use cedar_policy_core::entities::Entities;
use compile::Cedar;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;
use std::sync::Arc;

const NAME_BYTES_MAX: usize = 4_096;

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Cedar>();
    shared::<Entities>();
};

/// Panics are counted and answered; their text may hold a request and is printed nowhere.
#[no_mangle]
pub extern "C" fn pdp_init() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// # Safety
/// `b` points to a buffer this library filled, or one that holds nothing.
#[no_mangle]
pub unsafe extern "C" fn pdp_buf_free(b: *mut Buf) {
    let Some(b) = b.as_mut() else { return };
    if !b.p.is_null() {
        drop(Vec::from_raw_parts(b.p, b.n, b.cap));
    }
    *b = Buf { p: null_mut(), n: 0, cap: 0 };
}

#[no_mangle]
pub extern "C" fn pdp_panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Panics on purpose, inside the guard: whoever links this can see that a panic comes back.
#[no_mangle]
pub extern "C" fn pdp_panic_check() -> i32 {
    unsafe { guard(null_mut(), || panic!("asked for")) }
}

/// # Safety
/// Slices describe readable memory; `out` is writable; `diag` is NULL or an empty buffer.
#[no_mangle]
pub unsafe extern "C" fn pdp_cedar_compile(
    sources: *const abi::Source,
    n: usize,
    schema: Slice,
    flags: u32,
    out: *mut *const Cedar,
    diag: *mut Buf,
) -> i32 {
    guard(diag, || {
        if n > compile::SOURCES_MAX {
            return err(Rc::Limit, "more than 256 policy files\n");
        }
        let mut all = Vec::new();
        for s in array(sources, n) {
            all.push(compile::Source { name: s.name.str(NAME_BYTES_MAX)?, text: s.text.bytes() });
        }
        let schema = schema.bytes();
        let (cedar, warnings) = on_big_stack(|| compile::compile(&all, schema, flags))?;
        put(diag, warnings);
        *out = Arc::into_raw(Arc::new(cedar));
        Ok(())
    })
}

/// # Safety
/// `c` came from `pdp_cedar_compile` and is held by the caller.
#[no_mangle]
pub unsafe extern "C" fn pdp_cedar_count(c: *const Cedar) -> u32 {
    c.as_ref().map_or(0, |c| c.policies.len() as u32)
}

/// # Safety
/// As `pdp_cedar_count`.
#[no_mangle]
pub unsafe extern "C" fn pdp_cedar_id(c: *const Cedar, number: u32) -> Slice {
    let info = c.as_ref().and_then(|c| c.policies.get(number as usize));
    info.map_or(Slice::of(""), |i| Slice::of(&i.id))
}

/// # Safety
/// As `pdp_cedar_count`.
#[no_mangle]
pub unsafe extern "C" fn pdp_cedar_forbids(c: *const Cedar, number: u32) -> bool {
    let info = c.as_ref().and_then(|c| c.policies.get(number as usize));
    info.is_some_and(|i| i.forbids)
}

/// # Safety
/// As `pdp_cedar_count`; `key` describes readable memory.
#[no_mangle]
pub unsafe extern "C" fn pdp_cedar_annotation(c: *const Cedar, number: u32, key: Slice) -> Slice {
    let info = c.as_ref().and_then(|c| c.policies.get(number as usize));
    let found = info.and_then(|i| i.annotations.iter().find(|a| a.0.as_bytes() == key.bytes()));
    found.map_or(Slice { p: std::ptr::null(), n: 0 }, |a| Slice::of(&a.1))
}

/// # Safety
/// `c` is held by the caller; nodes describe readable memory; `out` is writable.
#[no_mangle]
pub unsafe extern "C" fn pdp_ents_build(
    c: *const Cedar,
    nodes: *const Node,
    n: usize,
    out: *mut *const Entities,
    diag: *mut Buf,
) -> i32 {
    guard(diag, || {
        let c = handle(c)?;
        let all = eval::entities(c, &c.action_entities, array(nodes, n))?;
        *out = Arc::into_raw(Arc::new(all));
        Ok(())
    })
}

/// # Safety
/// `c` and `base` are held by the caller, `base` (or NULL) was built for `c`; the request
/// describes readable memory; `out` is writable.
#[no_mangle]
pub unsafe extern "C" fn pdp_cedar_eval(
    c: *const Cedar,
    base: *const Entities,
    q: *const Req,
    out: *mut Res,
    diag: *mut Buf,
) -> i32 {
    let Some(out) = out.as_mut() else { return Rc::Internal as i32 };
    let nothing = || Res { decision: 0, n_reason: 0, n_error: 0, reason: [0; 16], error: [0; 16] };
    *out = nothing();
    let rc = guard(diag, || {
        let (c, q) = (handle(c)?, handle(q)?);
        let question = eval::question(c, base.as_ref().unwrap_or(&c.action_entities), q)?;
        eval::decide(&question, out)
    });
    if rc != Rc::Ok as i32 {
        *out = nothing();
    }
    rc
}

unsafe fn handle<'a, T>(p: *const T) -> R<&'a T> {
    p.as_ref().map_or_else(|| err(Rc::Internal, "no handle"), Ok)
}

/// # Safety
/// As `pdp_cedar_count`.
#[no_mangle]
pub unsafe extern "C" fn pdp_cedar_retain(c: *const Cedar) {
    if !c.is_null() {
        Arc::increment_strong_count(c);
    }
}

/// Frees on the big stack: a tree that was parsed there can be too deep for the caller's.
///
/// # Safety
/// The caller gives up its hold of `c`.
#[no_mangle]
pub unsafe extern "C" fn pdp_cedar_release(c: *const Cedar) {
    if c.is_null() {
        return;
    }
    guard(null_mut(), || match Arc::into_inner(Arc::from_raw(c)) {
        Some(c) => on_big_stack(move || {
            drop(c);
            Ok(())
        }),
        None => Ok(()),
    });
}

/// # Safety
/// `e` came from `pdp_ents_build` and is held by the caller.
#[no_mangle]
pub unsafe extern "C" fn pdp_ents_retain(e: *const Entities) {
    if !e.is_null() {
        Arc::increment_strong_count(e);
    }
}

/// # Safety
/// The caller gives up its hold of `e`.
#[no_mangle]
pub unsafe extern "C" fn pdp_ents_release(e: *const Entities) {
    if !e.is_null() {
        guard(null_mut(), || {
            drop(Arc::from_raw(e));
            Ok(())
        });
    }
}
