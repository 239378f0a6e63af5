"""The plugin's logic, without a component around it."""

import unittest

from boathouse_sdk import Context, Exhausted, Knob, journal
from plugin import propose

KNOBS = [Knob("m", 4, 64, 4), Knob("ef_construction", 20, 400, 20), Knob("ef_search", 10, 500, 10)]


class Search(unittest.TestCase):
    def test_proposals_are_new_within_bounds_and_the_same_for_a_seed(self):
        trials = journal([(0.9, 100.0, 1), (0.95, 200.0, 1)])
        for seed in range(50):
            context = Context(KNOBS, trials, champion=1, seed=seed)
            answer = propose(context)
            self.assertEqual(propose(context), answer)
            self.assertNotIn(tuple(answer.settings), {trial.settings for trial in trials})
            for knob, value in zip(KNOBS, answer.settings):
                self.assertEqual(knob.moved(value, 0), value)

    def test_it_ends_when_everything_has_been_tried(self):
        only = [Knob("m", 16, 16, 1), Knob("ef_construction", 100, 100, 1), Knob("ef_search", 10, 10, 1)]
        self.assertIsInstance(propose(Context(only, journal([(0.9, 100.0, 1)]))), Exhausted)


if __name__ == "__main__":
    unittest.main()
