#![no_std]

mod portcullis;

use portcullis::{count, member, members, say, Code, Input, Level, Output};

/// The member of the result's data that is masked. Change it, or read it from the
/// arguments of the decision in `input.meta`.
const FIELD: &[u8] = b"password";

/// Gets the config of the manifest as JSON, once, and may refuse it.
pub fn configure(_config: &[u8]) -> Code {
    Code::Ok
}

/// Masks one field of what a read returns, and counts how often it did; all other bytes
/// stay as they are.
pub fn transform(input: &Input, out: &mut Output) -> Code {
    let text = input.payload;
    if text.first() != Some(&b'{') {
        say(Level::Warning, "the result is no object");
        return Code::BadInput;
    }
    let data = member(text, b"data").unwrap_or(b"");
    let value = match members(data).find(|m| m.0 == FIELD) {
        Some((_, value)) => value,
        None => return Code::Ok,
    };
    let from = value.as_ptr() as usize - text.as_ptr() as usize;
    count("masked", 1);
    out.put(&text[..from]);
    out.put(b"\"[masked]\"");
    out.put(&text[from + value.len()..]);
    Code::Ok
}
