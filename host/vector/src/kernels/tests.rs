//! Kernels against arithmetic in `f64` and in wide integers, at every length that occurs.

use super::*;

const FORMS: [Form; 2] = [Form::Dot, Form::SquaredL2];

fn numbers(len: usize, salt: u32) -> Vec<f32> {
    (0..len as u32)
        .map(|i| {
            let mixed = (i + 1).wrapping_mul(2_654_435_761).wrapping_add(salt * 97);
            f64::from(mixed) as f32 / u32::MAX as f32 - 0.5
        })
        .collect()
}

/// As vectors are stored: zeros up to a whole line.
fn padded(len: usize, salt: u32) -> Vec<f32> {
    let mut numbers = numbers(len, salt);
    numbers.resize(len.next_multiple_of(LANES), 0.0);
    numbers
}

fn kernels(form: Form) -> Vec<Kernel> {
    let mut kernels = Kernel::with_instructions(form);
    kernels.push(portable::kernel(form));
    kernels
}

fn expected(form: Form, a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    pairs
        .map(|(x, y)| match form {
            Form::Dot => x * y,
            Form::SquaredL2 => (x - y) * (x - y),
        })
        .sum()
}

#[test]
fn every_kernel_agrees_with_arithmetic_in_f64_at_every_length() {
    for len in 0..=130 {
        let (a, b) = (padded(len, 1), padded(len, 2));
        for form in FORMS {
            let expected = expected(form, &a, &b);
            for kernel in kernels(form) {
                let found = f64::from(kernel.of(&a, &b));
                assert!(
                    (found - expected).abs() <= 1e-6 * (len as f64 + 1.0),
                    "{form:?} over {len} components by {}: {found} against {expected}",
                    kernel.instructions
                );
            }
        }
    }
}

#[test]
fn slices_are_read_up_to_the_last_whole_line_of_the_shorter() {
    let (a, b) = (numbers(130, 3), numbers(130, 4));
    for form in FORMS {
        for kernel in kernels(form) {
            for len in 0..130 {
                let whole = len / LANES * LANES;
                let expected = kernel.of(&a[..whole], &b[..whole]);
                assert_eq!(kernel.of(&a[..len], &b), expected);
                assert_eq!(kernel.of(&a, &b[..len]), expected);
                // Off the cache line, as a caller's slice may be.
                let shifted = kernel.of(&a[1..], &b[1..len.max(1)]);
                assert!(shifted.is_finite());
            }
        }
    }
}

#[test]
fn many_rows_at_once_give_the_bits_of_one_at_a_time() {
    for stride in [LANES, 4 * LANES, 24 * LANES] {
        let table = numbers(stride * 11, 5);
        let rows = Rows {
            values: &table,
            stride,
        };
        let query = numbers(stride, 6);
        for form in FORMS {
            for kernel in kernels(form) {
                for len in 0..=11 {
                    let list: Vec<u32> = (0..len).map(|i| i * 7 % 11).collect();
                    let mut found = vec![9.0];
                    kernel.of_many(&query, rows, &list, &mut found);
                    let each = list.iter().map(|&row| kernel.of(&query, rows.get(row)));
                    let expected: Vec<f32> = std::iter::once(9.0).chain(each).collect();
                    assert_eq!(found, expected);
                }
            }
        }
    }
}

#[test]
fn kernels_of_codes_agree_exactly_up_to_the_greatest_values() {
    let mut kernels = CodeKernel::with_instructions();
    kernels.push(portable::code_kernel());
    for stride in [LINE, 2 * LINE, 6 * LINE, 64 * LINE] {
        let mix = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 16;
        let mut table: Vec<u8> = (0..stride * 9).map(|i| (mix(i) % 128) as u8).collect();
        table[..stride].fill(MAX_CODE);
        let rows = Rows {
            values: &table,
            stride,
        };
        let mixed: Vec<i8> = (0..stride)
            .map(|i| (mix(i + 3) % 255) as u8 as i8)
            .collect();
        let mixed: Vec<i8> = mixed.into_iter().map(|x| x.max(-127)).collect();
        for query in [vec![127; stride], vec![-127; stride], mixed] {
            let list: Vec<u32> = (0..9).rev().collect();
            let expected: Vec<i32> = list
                .iter()
                .map(|&row| {
                    let products = rows.get(row).iter().zip(&query);
                    let wide = products.map(|(&x, &w)| i64::from(x) * i64::from(w));
                    i32::try_from(wide.sum::<i64>()).expect("fits")
                })
                .collect();
            for kernel in &kernels {
                let mut found = Vec::new();
                kernel.of_many(&query, rows, &list, &mut found);
                assert_eq!(found, expected, "{}, stride {stride}", kernel.instructions);
            }
        }
    }
}

#[test]
fn prefetching_takes_any_slice() {
    prefetch::<f32>(&[]);
    prefetch(&numbers(1, 5));
    prefetch(&[0_u8; 1_000]);
}

#[test]
#[should_panic(expected = "range")]
fn a_row_that_does_not_exist_is_not_read() {
    let rows = Rows {
        values: &[1.0; 2 * LANES],
        stride: LANES,
    };
    let query = [1.0; LANES];
    Kernel::fastest(Form::Dot).of_many(&query, rows, &[0, 1, 1, 2], &mut Vec::new());
}
