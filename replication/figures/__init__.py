"""Tables and pictures of the paper's figures, drawn from run folders alone."""
