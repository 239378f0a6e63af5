//! A component whose compilation takes far more than its size suggests.
//!
//! It is an honest component with one more core module behind it that nothing instantiates: all of a
//! component is compiled, used or not. The module has one function of a few megabytes. Its branches all
//! lead to one place, and between any two of them one of many variables changes. So at that place every
//! variable has another value for every branch, and a compiler that brings values into a single form
//! hands all variables over at each branch: [`BRANCHES`] times [`VARIABLES`] of them.

/// Branches to one place, each of about 13 bytes.
const BRANCHES: u32 = 200_000;
/// Variables that differ there; the format allows 50,000.
const VARIABLES: u32 = 10_000;

/// The component with the bomb behind it.
pub(crate) fn strapped_to(component: &[u8]) -> Vec<u8> {
    let mut armed = component.to_vec();
    section(&mut armed, 1, &module());
    armed
}

fn module() -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // One type: an i32 to an i64. One function of that type.
    section(&mut module, 1, &[1, 0x60, 1, 0x7f, 1, 0x7e]);
    section(&mut module, 3, &[1, 0]);
    let body = body();
    let mut code = vec![1];
    number(&mut code, length(&body));
    code.extend_from_slice(&body);
    section(&mut module, 10, &code);
    module
}

fn body() -> Vec<u8> {
    // One group of locals, i64, behind the parameter.
    let mut body = vec![1];
    number(&mut body, VARIABLES);
    body.push(0x7e);
    // block
    body.extend_from_slice(&[0x02, 0x40]);
    for branch in 0..BRANCHES {
        // The constant is small enough to be the same in the signed notation.
        body.extend_from_slice(&[0x42, 0x2a]);
        // local.set of one variable, then br_if by the parameter
        body.push(0x21);
        number(&mut body, 1 + branch % VARIABLES);
        body.extend_from_slice(&[0x20, 0, 0x0d, 0]);
    }
    // end, then the sum of all variables as the result
    body.extend_from_slice(&[0x0b, 0x42, 0]);
    for variable in 1..=VARIABLES {
        body.push(0x20);
        number(&mut body, variable);
        body.push(0x7c);
    }
    body.push(0x0b);
    body
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    number(bytes, length(content));
    bytes.extend_from_slice(content);
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("within the format")
}

/// LEB128, unsigned.
fn number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or(0));
}
