"""What tests are made of: strategies, measured tolerances, checks of derivatives, planted errors."""
