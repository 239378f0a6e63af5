"""The student's vocabulary: MiniLM's, less what no text can reach, plus frequent whole words.

Unreachable under BERT's pre-tokenizer (which splits around CJK characters and punctuation):
`[unusedN]`, the special tokens of training, and continuation pieces that are CJK or punctuation.
The rows this frees hold words that MiniLM must cut into pieces.
"""

import collections
import json
import unicodedata

from tokenizers import Tokenizer

UNKNOWN = "[UNK]"
MIN_WORD_COUNT = 12


def is_split_off(char):
    """Whether the pre-tokenizer makes a word of its own out of this character."""
    ascii_symbol = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    cjk = 0x4E00 <= ord(char) <= 0x9FFF or 0x3400 <= ord(char) <= 0x4DBF or 0xF900 <= ord(char) <= 0xFAFF
    return ascii_symbol or cjk or unicodedata.category(char).startswith("P")


def is_reachable(token):
    if token.startswith("[") and token.endswith("]") and len(token) > 1:
        return token in ("[PAD]", UNKNOWN)
    return not (token.startswith("##") and len(token) > 2 and any(is_split_off(c) for c in token[2:]))


def census(tokenizer, texts):
    """(uses of each token, uses of each word that the tokenizer cuts into pieces)"""
    tokens, words = collections.Counter(), collections.Counter()
    for start in range(0, len(texts), 20_000):
        for encoding in tokenizer.encode_batch(texts[start : start + 20_000], add_special_tokens=False):
            tokens.update(encoding.ids)
            pieces = collections.defaultdict(list)
            for word, token in zip(encoding.word_ids, encoding.ids):
                pieces[word].append(token)
            for cut in pieces.values():
                if len(cut) > 1:
                    words["".join(tokenizer.id_to_token(t).removeprefix("##") for t in cut)] += 1
    return tokens, words


def choose(tokenizer, texts, size, added):
    """`size` tokens: MiniLM's reachable ones in their order, then `added` frequent whole words.

    Room is made by dropping the rarest (last) multi-letter tokens that no text uses."""
    tokens, words = census(tokenizer, texts)
    old = sorted(tokenizer.get_vocab(False).items(), key=lambda item: item[1])
    kept = [(t, i) for t, i in old if is_reachable(t)]
    new = [w for w, c in words.most_common() if c >= MIN_WORD_COUNT and len(w) > 2 and w.isascii() and w.isalpha()]
    new = [w for w in new if w not in tokenizer.get_vocab(False)][:added]
    droppable = [t for t, i in kept if not tokens[i] and len(t.removeprefix("##")) > 1 and t[0] != "["]
    surplus = max(len(kept) + len(new) - size, 0)
    if surplus > len(droppable):
        raise ValueError(f"{surplus} tokens too many and only {len(droppable)} unused: add fewer words")
    dropped = set(droppable[len(droppable) - surplus :])
    return [t for t, _ in kept if t not in dropped] + new


def tokenizer_json(tokens):
    """A compact tokenizer.json in the form that model2vec reads, without added tokens."""
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
    normalizer |= {"strip_accents": None, "lowercase": True}
    model = {"type": "WordPiece", "unk_token": UNKNOWN, "continuing_subword_prefix": "##"}
    model |= {"max_input_chars_per_word": 100, "vocab": {t: i for i, t in enumerate(tokens)}}
    document = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": []}
    document |= {"normalizer": normalizer, "pre_tokenizer": {"type": "BertPreTokenizer"}}
    document |= {"post_processor": None, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}
    return json.dumps(document | {"model": model}, ensure_ascii=False, separators=(",", ":"))


def load(tokens):
    return Tokenizer.from_str(tokenizer_json(tokens))
