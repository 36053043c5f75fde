"""Parts of a decoder that several families write."""
