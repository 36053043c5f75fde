"""Parts of a decoder that several families have: their weights, and their nodes of the dialect.

In shapes, T is the tokens of a call, B the batch, S the tokens of a sequence, P those of the cache,
nh and nkv the heads of queries and keys, hd ``head_dim``, H ``hidden_size``, I
``intermediate_size``, V the vocabulary, E the experts and k those of a token.
"""
