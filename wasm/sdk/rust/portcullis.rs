//! The guest side of the transform interface of Portcullis, version 1. Keep it
//! beside your code, unchanged; write `configure` and `transform` in lib.rs.

use core::arch::wasm32::{memory_grow, memory_size};
use core::slice;

/// What the payload is: a log record, the arguments of a call or its result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Log = 1,
    Request = 2,
    Response = 3,
}

/// The codes of the interface. `Refuse` drops the line or denies the call.
#[allow(dead_code)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Ok = 0,
    BadInput = 1,
    BadConfig = 2,
    Internal = 3,
    Refuse = 16,
}

/// The input of one call. `meta` is JSON, `{"op":…,"mount":…,"args":{…}}`, or empty.
pub struct Input<'a> {
    pub hook: Hook,
    pub meta: &'a [u8],
    pub payload: &'a [u8],
}

/// The output. Write nothing to leave the payload unchanged.
pub struct Output<'a> {
    buf: &'a mut [u8],
    len: usize,
    full: bool,
}

impl Output<'_> {
    /// Appends bytes. Too many of them make the call fail.
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > self.buf.len() {
            self.full = true;
            return;
        }
        self.buf[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }
}

/// How a line is logged.
#[allow(dead_code)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug = 0,
    Info = 1,
    Warning = 2,
    Error = 3,
}

#[link(wasm_import_module = "portcullis")]
extern "C" {
    #[link_name = "log"]
    fn host_log(level: i32, text: *const u8, n: usize);
    #[link_name = "count"]
    fn host_count(name: *const u8, n: usize, by: u32);
}

/// Logs a line, if the manifest has `logs: true`. The gateway takes four lines a call, 256
/// bytes each, and hides what a line has of the document. Without a call of this, the
/// module imports nothing for it.
#[allow(dead_code)]
pub fn say(level: Level, text: &str) {
    unsafe { host_log(level as i32, text.as_ptr(), text.len()) }
}

/// Adds to a counter, if the manifest lists its name below `counters`.
#[allow(dead_code)]
pub fn count(name: &str, by: u32) {
    unsafe { host_count(name.as_ptr(), name.len(), by) }
}

const PAGE: usize = 65536;
const LARGEST: usize = 4 << 20;

extern "C" {
    /// The end of the static data, set by the linker. The input lies behind it,
    /// the output behind the input; there is no other heap.
    static __heap_base: u8;
}

fn input_at() -> usize {
    (unsafe { &__heap_base as *const u8 as usize } + 15) & !15
}

fn output_at(n: usize) -> usize {
    (input_at() + n + 15) & !15
}

fn output_size(n: usize) -> usize {
    2 * n + 4096
}

#[no_mangle]
pub extern "C" fn abi() -> i32 {
    1 << 16
}

#[no_mangle]
pub extern "C" fn alloc(n: i32) -> i32 {
    let n = n as u32 as usize;
    if n > LARGEST {
        return 0;
    }
    let end = output_at(n) + output_size(n);
    let have = memory_size(0) * PAGE;
    if end > have && memory_grow(0, (end - have + PAGE - 1) / PAGE) == usize::MAX {
        return 0;
    }
    input_at() as i32
}

fn input(n: i32) -> &'static [u8] {
    // alloc has made sure that these bytes exist, and the host has filled them.
    unsafe { slice::from_raw_parts(input_at() as *const u8, n as usize) }
}

fn output(n: usize) -> &'static mut [u8] {
    // As above; nothing else refers to them during a call.
    unsafe { slice::from_raw_parts_mut(output_at(n) as *mut u8, output_size(n)) }
}

#[no_mangle]
pub extern "C" fn init(_ptr: i32, n: i32) -> i64 {
    crate::configure(input(n)) as i64
}

#[no_mangle]
pub extern "C" fn transform(hook: i32, _ptr: i32, n: i32) -> i64 {
    let bytes = input(n);
    let hook = match hook {
        1 => Hook::Log,
        2 => Hook::Request,
        _ => Hook::Response,
    };
    if bytes.len() < 4 {
        return Code::BadInput as i64;
    }
    let meta = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    if meta > bytes.len() - 4 {
        return Code::BadInput as i64;
    }
    let (meta, payload) = bytes[4..].split_at(meta);
    let mut out = Output { buf: output(bytes.len()), len: 0, full: false };
    let code = crate::transform(&Input { hook, meta, payload }, &mut out);
    if out.full {
        return Code::Internal as i64;
    }
    if code != Code::Ok || out.len == 0 {
        return code as i64;
    }
    (output_at(bytes.len()) as i64) << 32 | out.len as i64
}

/// A panic is a trap, and a trap is a closed failure.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// The members of a JSON object: each key, without its quotes and with its
/// escapes, and each value, as they are in the text. Ends at the first mistake.
pub struct Members<'a> {
    text: &'a [u8],
    at: usize,
}

/// Opens the object in a text; anything else has no members.
pub fn members(text: &[u8]) -> Members<'_> {
    let at = spaces(text, 0);
    let open = text.get(at) == Some(&b'{');
    Members { text, at: if open { at + 1 } else { text.len() } }
}

/// Returns the value of a key.
pub fn member<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    members(text).find(|m| m.0 == key).map(|m| m.1)
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut at = spaces(self.text, self.at);
        if self.text.get(at) == Some(&b',') {
            at = spaces(self.text, at + 1);
        }
        if self.text.get(at) != Some(&b'"') {
            return None;
        }
        let end = value_end(self.text, at);
        let key = self.text.get(at + 1..end.checked_sub(1)?)?;
        let from = spaces(self.text, spaces(self.text, end) + 1);
        let to = value_end(self.text, from);
        self.at = to;
        Some((key, self.text.get(from..to)?))
    }
}

fn spaces(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Returns the place behind the value at `at`.
fn value_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(&c) = text.get(at) {
        match c {
            b'"' => at = string_end(text, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 1 => depth -= 1,
            b'}' | b']' => return at + depth,
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => {}
        }
        if c != b'"' {
            at += 1;
        } else if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Returns the place behind the string whose first quote is at `at`.
fn string_end(text: &[u8], mut at: usize) -> usize {
    at += 1;
    while let Some(rest) = text.get(at..) {
        at += plain(rest);
        match text.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => break,
        }
    }
    text.len()
}

/// Returns how many bytes at the front are in groups of eight without a quote or a
/// backslash.
fn plain(text: &[u8]) -> usize {
    let mark = |word: u64, c: u8| {
        let rest = word ^ u64::from_ne_bytes([c; 8]); // zero where it is c
        rest.wrapping_sub(0x0101_0101_0101_0101) & !rest & 0x8080_8080_8080_8080
    };
    let mut n = 0;
    for group in text.chunks_exact(8) {
        let word = u64::from_ne_bytes([group[0], group[1], group[2], group[3], group[4], group[5], group[6], group[7]]);
        if mark(word, b'"') | mark(word, b'\\') != 0 {
            break;
        }
        n += 8;
    }
    n
}
