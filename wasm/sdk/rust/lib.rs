#![no_std]

mod portcullis;

use portcullis::{member, members, Code, Input, Output};

/// The member of the result's data that is masked. Change it, or read it from the
/// arguments of the decision in `input.meta`.
const FIELD: &[u8] = b"password";

/// Gets the config of the manifest as JSON, once, and may refuse it.
pub fn configure(_config: &[u8]) -> Code {
    Code::Ok
}

/// Masks one field of what a read returns; all other bytes stay as they are.
pub fn transform(input: &Input, out: &mut Output) -> Code {
    let text = input.payload;
    let data = member(text, b"data").unwrap_or(b"");
    let value = match members(data).find(|m| m.0 == FIELD) {
        Some((_, value)) => value,
        None => return Code::Ok,
    };
    let from = value.as_ptr() as usize - text.as_ptr() as usize;
    out.put(&text[..from]);
    out.put(b"\"[masked]\"");
    out.put(&text[from + value.len()..]);
    Code::Ok
}
