//! The two digests that addresses of crypto currencies need, for short input.
//!
//! SHA-256 (FIPS 180-4) of at most 55 bytes, which is one block, and Keccak-256 with its original padding
//! (Bertoni et al., *The Keccak reference*, 2011) of at most 135 bytes, which is one block too. The round
//! constants of SHA-256 are derived, not written out: they are the fractional bits of cube roots.

/// First 32 fractional bits of the square or cube roots of the first primes.
const fn roots<const N: usize>(cube: bool) -> [u32; N] {
    let mut found = [0; N];
    let (mut count, mut candidate) = (0, 2_u128);
    while count < N {
        let mut divisor = 2;
        while divisor * divisor <= candidate && candidate % divisor != 0 {
            divisor += 1;
        }
        if divisor * divisor > candidate {
            found[count] = root(candidate, cube);
            count += 1;
        }
        candidate += 1;
    }
    found
}

/// The low 32 bits of the root of `number * 2^(32 * power)`, by bisection.
const fn root(number: u128, cube: bool) -> u32 {
    let scaled = number << if cube { 96 } else { 64 };
    let (mut low, mut high) = (0_u128, 1 << 37);
    while high - low > 1 {
        let middle = (low + high) / 2;
        let power = if cube {
            middle * middle * middle
        } else {
            middle * middle
        };
        if power <= scaled {
            low = middle;
        } else {
            high = middle;
        }
    }
    low as u32
}

const SHA_START: [u32; 8] = roots(false);
const SHA_ROUNDS: [u32; 64] = roots(true);

/// SHA-256 of at most 55 bytes; longer input is cut.
pub(super) fn sha_256(input: &[u8]) -> [u8; 32] {
    let input = &input[..input.len().min(55)];
    let mut block = [0_u8; 64];
    block[..input.len()].copy_from_slice(input);
    block[input.len()] = 0x80;
    block[56..].copy_from_slice(&(input.len() as u64 * 8).to_be_bytes());

    let mut schedule = [0_u32; 64];
    for (word, bytes) in schedule.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes
            .iter()
            .fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    for at in 16..64 {
        let (near, far) = (schedule[at - 2], schedule[at - 15]);
        let s0 = far.rotate_right(7) ^ far.rotate_right(18) ^ far >> 3;
        let s1 = near.rotate_right(17) ^ near.rotate_right(19) ^ near >> 10;
        let sum = schedule[at - 16].wrapping_add(s0);
        schedule[at] = sum.wrapping_add(schedule[at - 7]).wrapping_add(s1);
    }
    let mut state = SHA_START;
    for (word, round) in schedule.iter().zip(SHA_ROUNDS) {
        state = sha_round(state, word.wrapping_add(round));
    }
    let mut digest = [0; 32];
    for ((place, start), end) in digest.chunks_exact_mut(4).zip(SHA_START).zip(state) {
        place.copy_from_slice(&start.wrapping_add(end).to_be_bytes());
    }
    digest
}

fn sha_round([a, b, c, d, e, f, g, h]: [u32; 8], word: u32) -> [u32; 8] {
    let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let choice = (e & f) ^ (!e & g);
    let first = h.wrapping_add(s1).wrapping_add(choice).wrapping_add(word);
    let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let majority = (a & b) ^ (a & c) ^ (b & c);
    let second = s0.wrapping_add(majority);
    [
        first.wrapping_add(second),
        a,
        b,
        c,
        d.wrapping_add(first),
        e,
        f,
        g,
    ]
}

/// Bytes of input that one block of Keccak-256 takes.
const RATE: usize = 136;

/// Keccak-256 of at most 135 bytes; longer input is cut.
pub(super) fn keccak_256(input: &[u8]) -> [u8; 32] {
    let input = &input[..input.len().min(RATE - 1)];
    let mut block = [0_u8; RATE];
    block[..input.len()].copy_from_slice(input);
    block[input.len()] ^= 0x01;
    block[RATE - 1] ^= 0x80;
    let mut state = [0_u64; 25];
    for (lane, bytes) in state.iter_mut().zip(block.chunks_exact(8)) {
        *lane = bytes
            .iter()
            .rev()
            .fold(0, |lane, &byte| lane << 8 | u64::from(byte));
    }
    permute(&mut state);
    let mut digest = [0; 32];
    for (place, lane) in digest.chunks_exact_mut(8).zip(state) {
        place.copy_from_slice(&lane.to_le_bytes());
    }
    digest
}

/// Keccak-f[1600]. The constants of iota come from its shift register.
fn permute(state: &mut [u64; 25]) {
    let mut register = 1_u8;
    for _ in 0..24 {
        theta(state);
        rho_and_pi(state);
        for row in state.chunks_exact_mut(5) {
            let old: [u64; 5] = std::array::from_fn(|x| row[x]);
            for x in 0..5 {
                row[x] = old[x] ^ (!old[(x + 1) % 5] & old[(x + 2) % 5]);
            }
        }
        for power in 0..7 {
            if register & 1 == 1 {
                state[0] ^= 1 << ((1_u32 << power) - 1);
            }
            let carry = register >> 7;
            register = (register << 1) ^ (carry * 0x71);
        }
    }
}

fn theta(state: &mut [u64; 25]) {
    let parity: [u64; 5] = std::array::from_fn(|x| (0..5).fold(0, |sum, y| sum ^ state[x + 5 * y]));
    for (at, lane) in state.iter_mut().enumerate() {
        let x = at % 5;
        *lane ^= parity[(x + 4) % 5] ^ parity[(x + 1) % 5].rotate_left(1);
    }
}

fn rho_and_pi(state: &mut [u64; 25]) {
    let (mut x, mut y) = (1, 0);
    let mut current = state[x];
    for turn in 0..24_u32 {
        (x, y) = (y, (2 * x + 3 * y) % 5);
        let shift = (turn + 1) * (turn + 2) / 2 % 64;
        (current, state[x + 5 * y]) = (state[x + 5 * y], current.rotate_left(shift));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn known_digests() {
        assert_eq!(
            hex(&sha_256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(&sha_256(b"")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(&keccak_256(b"")),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
        assert_eq!(
            hex(&keccak_256(b"abc")),
            "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
        );
    }
}
