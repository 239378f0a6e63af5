//! Plain Rust in a line's worth of accumulators, which the compiler turns into whatever the target has.

use super::{CodeKernel, Form, Kernel, LANES, Rows};

/// The kernel that runs everywhere.
pub(super) fn kernel(form: Form) -> Kernel {
    let instructions = "portable";
    match form {
        Form::Dot => Kernel {
            pair: dot,
            many: dot_many,
            instructions,
        },
        Form::SquaredL2 => Kernel {
            pair: squared_l2,
            many: squared_l2_many,
            instructions,
        },
    }
}

/// The kernel of codes that runs everywhere.
pub(super) fn code_kernel() -> CodeKernel {
    CodeKernel::new(codes, "portable")
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y| x * y)
}

fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |x, y| (x - y) * (x - y))
}

fn dot_many(query: &[f32], rows: Rows<'_, f32>, list: &[u32], out: &mut Vec<f32>) {
    out.extend(list.iter().map(|&row| dot(query, rows.get(row))));
}

fn squared_l2_many(query: &[f32], rows: Rows<'_, f32>, list: &[u32], out: &mut Vec<f32>) {
    out.extend(list.iter().map(|&row| squared_l2(query, rows.get(row))));
}

fn codes(query: &[i8], rows: Rows<'_, u8>, list: &[u32], out: &mut Vec<i32>) {
    out.extend(list.iter().map(|&row| {
        let products = query.iter().zip(rows.get(row));
        products
            .map(|(&weight, &code)| i32::from(weight) * i32::from(code))
            .sum::<i32>()
    }));
}

#[inline]
fn fold(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks::<LANES>().0);
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for (sum, (&x, &y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += term(x, y);
        }
    }
    sums.iter().sum()
}
