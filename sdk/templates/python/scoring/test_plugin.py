"""The plugin's logic, without a component around it."""

import unittest

from boathouse_sdk import Objective, journal
from plugin import evaluate


class Taste(unittest.TestCase):
    def test_the_quicker_of_equal_recall_wins_and_the_objective_is_kept(self):
        trials = journal([(0.97, 300.0, 1000), (0.97, 900.0, 1000), (0.80, 100.0, 1000)])
        verdicts = evaluate(trials, Objective())
        self.assertGreater(verdicts[0].score, verdicts[1].score)
        self.assertEqual([verdict.front for verdict in verdicts], [0, 1, 0])
        self.assertEqual([verdict.feasible for verdict in verdicts], [True, True, False])


if __name__ == "__main__":
    unittest.main()
