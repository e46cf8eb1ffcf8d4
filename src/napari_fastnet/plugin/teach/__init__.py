"""Teaching: a person's labels adapt the network, whose new heatmap lies beside the old."""
