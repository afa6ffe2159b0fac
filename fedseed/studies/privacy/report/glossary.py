"""The words of the report for readers who know no machine learning."""

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("Accuracy", "The share of test texts to which the model gives the right class."),
    ("Adapters", "Small additional tables of numbers that change a model; only they travel."),
    ("AdamW, SGD", "Two ways in which training changes the numbers of a model, step by step."),
    ("Attack", "A computation that tries to find out something about private texts from what a "
     "reader sees. It shows what can be found; it never shows that nothing can be found."),
    ("AUC", "How well an attack tells texts that were used from texts that were not: the "
     "probability that it ranks a used one higher. 0.5 is guessing, 1 is always right."),
    ("Audit", "An attack on a model that was trained with a guarantee. It measures how much was "
     "given away at least, and so can prove a guarantee wrong, never right. A one-run audit plants "
     "many canaries in one training run; a repeated audit trains many times."),
    ("Canary", "A made-up text that was planted among a client's texts to see whether it can be "
     "found again."),
    ("Class", "One of the answers that the model gives, such as positive or negative."),
    ("Class mix", "How large a share of a client's texts each class has."),
    ("Client", "A party with private texts, such as a hospital or a company. Its texts stay with "
     "it; what is computed from them is sent."),
    ("Counts of words", "How many texts of each class hold each word (rows named lexicon)."),
    ("Delta", "The probability with which epsilon may fail. It should be far below one divided by "
     "the number of texts."),
    ("Differential privacy", "A guarantee that is proven, whatever a reader knows and computes: "
     "with or without one text (or one client), what is sent is nearly equally likely. How nearly "
     "is said by epsilon and delta. It is made by adding noise."),
    ("DP-SGD", "Training with differential privacy: the effect of each text on each step is "
     "limited, and noise is added."),
    ("Epsilon", "The strength of differential privacy: the odds that anybody would give for a "
     "text having been used change by a factor of e to the power of epsilon at most: 2.7 for "
     "epsilon 1, 55 for 4, 2,981 for 8. Smaller protects more. Claimed: what is proven. Lower "
     "bound: what an audit measured at least."),
    ("Exposure", "How far a canary stands out from its likes, in bits: each bit halves the number "
     "of candidates. A canary that was never used has about 1.4 bits."),
    ("Federated training", "Several clients train one model together without handing over texts."),
    ("Gradient inversion", "Computing texts back from the change that they made to a model."),
    ("Interval (95 %)", "Values between which the true mean is expected to lie, from the spread of "
     "the attacked runs. Where all runs agree it says 'all alike', and bounds nothing."),
    ("Labels", "Classes that a client's model gives to public texts; only they travel."),
    ("LiRA, RMIA, loss threshold", "Attacks on membership. LiRA (the likelihood-ratio attack) and "
     "RMIA compare the model's confidence in a text with that of shadow runs; LiRA online has runs "
     "that used the text, offline none. The loss threshold looks at the confidence alone, vector "
     "LiRA at what was sent, stacked puts several together."),
    ("Majority baseline", "The accuracy of always naming the most frequent class: a model that is "
     "no better has learnt nothing."),
    ("Mask", "One bit for each number of a model, which says whether it is used."),
    ("Membership", "Whether a certain text was among those used in training. It can be sensitive "
     "by itself: that a letter was among those of a clinic says something of its writer."),
    ("Model", "A program with many numbers that training sets, here one that sorts texts."),
    ("n", "The number of texts that an accuracy was measured on."),
    ("Noise", "Random numbers added on purpose. Discrete Gaussian noise adds whole numbers, "
     "randomised response changes an answer with a known probability."),
    ("Protocol", "The agreement on what travels between clients and server, and how it is put "
     "together."),
    ("Recipe", "The settings of a training, such as its length. In the row of that name only "
     "settings and scores travel."),
    ("Row", "A protocol with its options; one line of the tables."),
    ("Scalars", "A few numbers that say how far to go along random directions."),
    ("Secure aggregation", "Clients mask what they send so that the server learns their sum and "
     "no single answer. The sum itself can still say something of everybody in it."),
    ("Seed", "The small file from which every client makes the same starting model."),
    ("Server", "The party that collects what clients send and puts it together. Honest but "
     "curious: it keeps to the protocol and computes whatever it likes from what it sees."),
    ("Shadow runs", "Runs that the attacker makes itself on other texts, to learn what used texts "
     "look like. More of them make a stronger attack."),
    ("Target", "What was attacked once: one client in one run, or one run."),
    ("Token", "A word or a part of one, as the model reads texts."),
    ("True positive rate at 1 % false positive rate", "The share of used texts that an attack "
     "finds while it wrongly accuses one in a hundred of the others. 1 % is guessing."),
    ("Weights", "All numbers of a model."),
)  # fmt: skip
"""Terms in alphabetical order, with what they mean."""
