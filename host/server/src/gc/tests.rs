//! What a run collects and what it leaves alone: a class at a time, after random histories, and cut off at
//! every step.

mod classes;
mod crash;
mod history;
mod parts;
mod tails;
mod world;
