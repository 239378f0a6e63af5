//! Model profiles, the GPU slot, answers and embedders of a model server, over a double of that; a course of them over a
//! real Ollama where there is one.

mod answers;
mod embedders;
mod profiles;
mod real;
mod refused;
mod slot;
mod tables;
